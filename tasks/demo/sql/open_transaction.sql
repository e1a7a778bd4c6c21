-- Whether a worker's session is inside a transaction and waits for the worker's next word.
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE application_name LIKE %(worker)s AND datname = current_database()
        AND xact_start IS NOT NULL AND wait_event = 'ClientRead')

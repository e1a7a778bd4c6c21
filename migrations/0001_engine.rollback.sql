-- Takes the engine's tables away. If they hold any job, dead letter, undelivered effect or archived row, the schema is
-- renamed instead of dropped: going back never loses them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM onelane.ledger) OR EXISTS (SELECT FROM onelane.outbox) OR EXISTS (SELECT FROM onelane.archive) THEN
        EXECUTE format('ALTER SCHEMA onelane RENAME TO %I', 'onelane_kept_' || to_char(clock_timestamp(), 'YYYYMMDD_HH24MISS_US'));
    ELSE
        DROP SCHEMA onelane CASCADE;
    END IF;
END;
$$;

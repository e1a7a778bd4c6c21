-- Each of these drops is followed by a second one of its table, which rests before it is done.
INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
SELECT 'job', 'caches.drop_again', jsonb_build_object('table', "table"), 'onelane', _job
FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, "table" text)
ORDER BY _n

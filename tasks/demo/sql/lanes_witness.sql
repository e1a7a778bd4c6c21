-- What the witness needs beside, once there are lanes.

-- Everything that was put into the outbox, with its transaction.
CREATE TABLE demo.outboxed (topic text NOT NULL, key text PRIMARY KEY);
CREATE FUNCTION demo.note_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO demo.outboxed (topic, key) VALUES (new.topic, new.key);
    RETURN NULL;
END;
$$;
CREATE TRIGGER demo_witness AFTER INSERT ON onelane.outbox
    FOR EACH ROW WHEN (new.topic <> 'replay') EXECUTE FUNCTION demo.note_outbox();

-- What the bot received on the stream of effects, in order.
CREATE TABLE demo.received (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL);

-- The poison that was put into lanes, and how it must end: dead, with this code; and once the cause of those that can be
-- mended is mended and they are replayed, applied.
CREATE TABLE demo.poison (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane     text NOT NULL,
    code     text NOT NULL,
    mendable boolean NOT NULL
);

-- What the job kind `badge.grant` writes (tasks/demo/badges.py).
CREATE TABLE demo.badges (
    id       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slack_id text NOT NULL,
    badge    text NOT NULL,
    UNIQUE (slack_id, badge)
);
CREATE TRIGGER demo_witness AFTER INSERT OR UPDATE OR DELETE ON demo.badges
    FOR EACH ROW EXECUTE FUNCTION demo.note_change();

-- The changes, each with the lane that it belongs to.
CREATE VIEW demo.changes AS
SELECT n, table_name, record_id, operation, old, new,
    CASE table_name
        WHEN 'users' THEN 'user:' || (row ->> 'slack_id')
        WHEN 'badges' THEN 'user:' || (row ->> 'slack_id')
        WHEN 'sprints' THEN 'sprints'
        WHEN 'overrides' THEN format('override:%s:%s', row ->> 'sprint_index', row ->> 'role')
        WHEN 'current_state' THEN 'rotation'
    END AS lane
FROM demo.witness, LATERAL (SELECT coalesce(new, old) AS row) AS either;

-- The jobs that the ledger calls applied, each with the change that it claims.
CREATE VIEW demo.claims AS
SELECT job_id, lane, seq, before::jsonb AS old, after::jsonb - 'effective' AS new
FROM onelane.ledger WHERE status = 'applied';

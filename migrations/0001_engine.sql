-- The engine's own tables. They know nothing of users or sprints.
CREATE SCHEMA onelane;

-- The applied migration steps (worker/migrate/runner.py).
CREATE TABLE onelane.migrations (
    name       text COLLATE "C" PRIMARY KEY,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How to undo each change that a step made to the shape it found, newest first (worker/migrate/surgery.py). An undo
-- that could lose rows says how to find them, and whether they must go first.
CREATE TABLE onelane.undo (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step         text COLLATE "C" NOT NULL,
    statement    text NOT NULL,
    lost_table   text,
    lost_query   text,
    lost_reason  text,
    lost_removes boolean
);

-- Every row that a migration removed or changed, as it was. `removed` and `changed` rows go back by `migrate down`;
-- `conflict` rows had to go on the way back.
CREATE TABLE onelane.archive (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_name  text NOT NULL,
    record      jsonb NOT NULL,
    replacement jsonb,
    action      text NOT NULL CHECK (action IN ('removed', 'changed', 'conflict')),
    reason      text NOT NULL,
    step        text COLLATE "C" NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row a lane. `token` shuts out a worker whose claim is older than the one that wrote last (worker/batch.py);
-- `seq` and `job_id` are the newest job of the lane that took effect or found nothing to change: a replay compares
-- itself with it.
-- The low fill factor keeps the two updates a batch on one page (HOT), without touching the index.
CREATE TABLE onelane.fences (
    lane   text COLLATE "C" PRIMARY KEY,
    token  bigint NOT NULL,
    seq    bigint NOT NULL DEFAULT 0,
    job_id text COLLATE "C"
) WITH (fillfactor = 50);

-- One row for each job that reached an end: what became of it, when, why. The columns from `body` on are filled for
-- dead letters only (status `dead`), which keep all that is needed to understand and replay them.
--   applied, unchanged, rejected: the job's end.      dead: needs an operator.
--   replaying: a dead letter on its way back to its lane; discarded, cancelled: an operator's end.
-- `forced` says that a replay may overwrite what newer jobs have done; `original` are the bytes before an operator
-- edited them.
CREATE TABLE onelane.ledger (
    job_id           text COLLATE "C" PRIMARY KEY,
    kind             text NOT NULL,
    lane             text COLLATE "C" NOT NULL,
    seq              bigint NOT NULL,
    actor            text NOT NULL,
    reason           text,
    digest           text NOT NULL,
    status           text NOT NULL CHECK (status IN ('applied', 'unchanged', 'rejected', 'dead', 'replaying', 'discarded', 'cancelled')),
    code             text NOT NULL,
    message          text NOT NULL,
    before           json,  -- json, not jsonb: the row's text is kept as it came, and costs nothing to take apart
    after            json,
    attempts         integer NOT NULL DEFAULT 1,
    worker           text NOT NULL,
    token            bigint NOT NULL,
    enqueued_at      timestamptz NOT NULL,
    finished_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    body             bytea,
    error_class      text,
    sqlstate         text,
    error            text,
    traceback        text,
    first_attempt_at timestamptz,
    replays          integer NOT NULL DEFAULT 0,
    forced           boolean NOT NULL DEFAULT false,
    original         bytea
);
-- Dead letters in the order of a replay, with all that a filter asks for, so that a million of them are looked through
-- without being read.
CREATE INDEX ledger_dead ON onelane.ledger (seq, job_id) INCLUDE (lane, kind, code, error_class, sqlstate, finished_at)
    WHERE status = 'dead';
CREATE INDEX ledger_died ON onelane.ledger (finished_at, job_id, code) WHERE status = 'dead';
CREATE INDEX ledger_dead_lane ON onelane.ledger (lane, seq) WHERE status = 'dead';
CREATE INDEX ledger_replaying ON onelane.ledger (job_id) WHERE status = 'replaying';

-- What operators did by hand, to which job, and why. `details` is what would else be forgotten, such as the error that
-- a replayed job had died of.
CREATE TABLE onelane.acts (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    act     text NOT NULL,
    job_id  text COLLATE "C" NOT NULL,
    reason  text,
    details jsonb
);
CREATE INDEX acts_job ON onelane.acts (job_id, id);

-- Follow-up jobs, effects, replays and replies, written in the transaction of the change that causes them, delivered to
-- Redis after its commit (worker/relay.py). `key` becomes the id of the job, effect or reply, so a second delivery is
-- recognized. `reply_to` is the URL where somebody waits for an answer.
CREATE TABLE onelane.outbox (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic      text NOT NULL CHECK (topic IN ('job', 'effect', 'replay', 'reply')),
    key        text NOT NULL DEFAULT gen_random_uuid()::text,
    kind       text NOT NULL,
    payload    jsonb NOT NULL,
    actor      text NOT NULL,
    reason     text,
    cause      text,
    reply_to   text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (topic <> 'reply' OR (reply_to IS NOT NULL AND payload ->> 'text' IS NOT NULL))
);

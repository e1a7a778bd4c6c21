-- Somebody asks for a cover. An equal request that is there keeps its approval: only the replacement's name is refreshed.
-- A request of another time (`requested_at`) is the record of an old one: nobody is asked to approve it now.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, _at timestamptz, sprint_index integer, role text,
        requested_by text, replacement_slack_id text, replacement_name text, original_slack_id text,
        requested_at timestamptz)
), possible AS MATERIALIZED (
    SELECT j.*, s.sprint_name
    FROM jobs AS j JOIN public.sprints AS s USING (sprint_index)
), before AS MATERIALIZED (
    SELECT j._n, o.id, o.approved, o.replacement_name AS known_name, to_jsonb(o) AS row
    FROM jobs AS j JOIN public.overrides AS o USING (sprint_index, role, requested_by, replacement_slack_id)
    FOR UPDATE OF o
), saved AS (
    INSERT INTO public.overrides AS o (
        sprint_index, role, original_slack_id, replacement_slack_id, replacement_name, requested_by, approved, created_at)
    SELECT sprint_index, role, original_slack_id, replacement_slack_id, replacement_name, requested_by, false,
        coalesce(requested_at, _at) AT TIME ZONE 'UTC'
    FROM possible LEFT JOIN before AS b USING (_n)
    WHERE b.id IS NULL OR replacement_name <> coalesce(b.known_name, '')
    ON CONFLICT (sprint_index, role, requested_by, replacement_slack_id)
        DO UPDATE SET replacement_name = excluded.replacement_name
    RETURNING o.*
), done AS (
    SELECT j.*, b.row AS before, coalesce(to_jsonb(s), b.row) AS after, b.approved, s.id,
        CASE
            WHEN j.sprint_name IS NULL THEN 'unknown_sprint'
            WHEN b.id IS NULL THEN 'created'
            WHEN b.approved THEN 'already_approved'
            ELSE 'already_pending'
        END AS code
    FROM (SELECT jobs.*, possible.sprint_name FROM jobs LEFT JOIN possible USING (_n)) AS j
    LEFT JOIN before AS b USING (_n)
    LEFT JOIN saved AS s USING (sprint_index, role, requested_by, replacement_slack_id)
), audited AS (
    INSERT INTO public.audit_logs (
        table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
    SELECT 'overrides', id, CASE WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END, before, after, _actor,
        clock_timestamp(), _reason
    FROM done WHERE id IS NOT NULL ORDER BY _n
), told AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'effect', 'admins', jsonb_build_object(
        'text', format('<@%%s> asks <@%%s> to cover %%s in %%s.', requested_by, replacement_slack_id, triage.title(role),
            sprint_name),
        'ask', 'override', 'override_id', id, 'sprint_index', sprint_index, 'role', role, 'requested_by', requested_by,
        'replacement_slack_id', replacement_slack_id), _actor, _job
    FROM done WHERE code = 'created' AND requested_at IS NULL
), copied AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', c.kind, c.payload, 'onelane', min(_job)
    FROM done, jsonb_to_recordset(%(context)s::jsonb #> '{copies,overrides}') AS c (kind text, payload jsonb)
    WHERE id IS NOT NULL GROUP BY c.kind, c.payload
)
SELECT _n,
    CASE WHEN code = 'unknown_sprint' THEN 'wait' WHEN id IS NULL THEN 'unchanged' ELSE 'applied' END,
    code, before, after, jsonb_build_object('role_title', triage.title(role), 'sprint', sprint_name)
FROM done

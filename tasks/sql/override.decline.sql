-- A request that is not approved is declined: its row goes.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, sprint_index integer, role text,
        requested_by text, replacement_slack_id text, declined_by text)
), before AS MATERIALIZED (
    SELECT j._n, o.id, to_jsonb(o) AS row
    FROM jobs AS j JOIN public.overrides AS o USING (sprint_index, role, requested_by, replacement_slack_id)
    FOR UPDATE OF o
), removed AS (
    DELETE FROM public.overrides AS o USING before AS b
    WHERE o.id = b.id AND o.approved IS NOT TRUE
    RETURNING b._n
), done AS (
    SELECT j.*, b.id, b.row AS before, r._n IS NOT NULL AS changed, triage.sprint_name(j.sprint_index) AS sprint_name
    FROM jobs AS j LEFT JOIN before AS b USING (_n) LEFT JOIN removed AS r USING (_n)
), audited AS (
    INSERT INTO public.audit_logs (
        table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
    SELECT 'overrides', id, 'DELETE', before, NULL, _actor, clock_timestamp(), _reason
    FROM done WHERE changed ORDER BY _n
), told AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'effect', 'dm', jsonb_build_object('to', requested_by, 'text', format(
        '<@%%s> has declined that <@%%s> covers %%s in %%s for you.', declined_by, replacement_slack_id,
        triage.title(role), sprint_name)), _actor, _job
    FROM done WHERE changed ORDER BY _n
), copied AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', c.kind, c.payload, 'onelane', min(_job)
    FROM done, jsonb_to_recordset(%(context)s::jsonb #> '{copies,overrides}') AS c (kind text, payload jsonb)
    WHERE changed GROUP BY c.kind, c.payload
)
SELECT _n,
    CASE WHEN changed THEN 'applied' WHEN id IS NULL THEN 'unchanged' ELSE 'rejected' END,
    CASE WHEN changed THEN 'declined' WHEN id IS NULL THEN 'missing' ELSE 'already_approved' END,
    before, CASE WHEN NOT changed THEN before END,
    jsonb_build_object('role_title', triage.title(role), 'sprint', sprint_name, 'approver', before ->> 'approved_by')
FROM done

-- A request is approved. The first approver is kept. It counts at once only if no newer approved request exists for the same seat.
-- An approval of another time (`approved_at`) is the record of an old one: nobody is told of it now.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, _at timestamptz, sprint_index integer, role text,
        requested_by text, replacement_slack_id text, approved_by text, approved_at timestamptz)
), before AS MATERIALIZED (
    SELECT j._n, o.id, to_jsonb(o) AS row
    FROM jobs AS j JOIN public.overrides AS o USING (sprint_index, role, requested_by, replacement_slack_id)
    FOR UPDATE OF o
), saved AS (
    UPDATE public.overrides AS o SET
        approved = true, approved_by = j.approved_by,
        approval_timestamp = coalesce(j.approved_at, j._at) AT TIME ZONE 'UTC'
    FROM jobs AS j JOIN before AS b USING (_n)
    WHERE o.id = b.id AND o.approved IS NOT TRUE
    RETURNING j._n, o.*
), done AS (
    SELECT j.*, b.id, b.row AS before, s.id IS NOT NULL AS changed,
        coalesce(to_jsonb(s) - '_n', b.row) || jsonb_build_object('effective', newer.replacement_slack_id IS NULL) AS after,
        newer.replacement_slack_id AS newer, triage.sprint_name(j.sprint_index) AS sprint_name
    FROM jobs AS j LEFT JOIN before AS b USING (_n) LEFT JOIN saved AS s USING (_n)
    LEFT JOIN LATERAL (
        SELECT o.replacement_slack_id FROM public.overrides AS o
        WHERE o.sprint_index = j.sprint_index AND o.role = j.role AND o.approved AND o.id <> b.id
            AND (coalesce(o.created_at, 'infinity'), o.id)
                > (coalesce((b.row ->> 'created_at')::timestamp, 'infinity'), b.id)
        ORDER BY o.created_at DESC, o.id DESC LIMIT 1
    ) AS newer ON true
), audited AS (
    INSERT INTO public.audit_logs (
        table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
    SELECT 'overrides', id, 'UPDATE', before, after - 'effective', _actor, clock_timestamp(), _reason
    FROM done WHERE changed ORDER BY _n
), told AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'effect', 'dm', jsonb_build_object('to', person.slack_id, 'text', format(person.text,
        triage.title(role), sprint_name, requested_by, replacement_slack_id, approved_by)), _actor, _job
    FROM done CROSS JOIN LATERAL (
        VALUES (1, requested_by, '<@%%5$s> has approved that <@%%4$s> covers %%1$s in %%2$s for you.'),
               (2, replacement_slack_id, 'You cover %%1$s in %%2$s for <@%%3$s>; <@%%5$s> has approved it.')
    ) AS person (place, slack_id, text)
    WHERE changed AND approved_at IS NULL ORDER BY _n, place
), followed AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', 'rotation.recompute', jsonb_build_object('sprint_index', sprint_index, 'roles', jsonb_build_array(role)),
        _actor, _job
    FROM done WHERE changed
), copied AS (
    INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
    SELECT 'job', c.kind, c.payload, 'onelane', min(_job)
    FROM done, jsonb_to_recordset(%(context)s::jsonb #> '{copies,overrides}') AS c (kind text, payload jsonb)
    WHERE changed GROUP BY c.kind, c.payload
)
SELECT _n,
    CASE WHEN id IS NULL THEN 'rejected' WHEN changed THEN 'applied' ELSE 'unchanged' END,
    CASE WHEN id IS NULL THEN 'not_found' WHEN changed THEN 'approved' ELSE 'already_approved' END,
    before, CASE WHEN id IS NOT NULL THEN after END,
    jsonb_build_object('role_title', triage.title(role), 'sprint', sprint_name, 'first_approver', before ->> 'approved_by',
        'but', coalesce(' A newer approved request still puts <@' || newer || '> there.', ''))
FROM done

-- An admin puts people into roles. Each role must still be held by whom the admin saw, else nothing is changed.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, expected_sprint_index integer, roles jsonb)
), compared AS MATERIALIZED (
    SELECT j.*, to_jsonb(state) AS row, state.sprint_index AS stored,
        j.expected_sprint_index IS NOT DISTINCT FROM state.sprint_index AS is_current,
        conflict.role AS conflict, conflict.holder, wanted.roles AS wanted
    FROM jobs AS j
    LEFT JOIN public.current_state AS state ON state.id = 1
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(
            r.role, CASE WHEN j.roles ? r.role THEN j.roles -> r.role -> 'to' ELSE triage.roles_in(state) -> r.role END) AS roles
        FROM triage.roles() AS r
    ) AS wanted
    LEFT JOIN LATERAL (
        SELECT r.role, triage.roles_in(state) ->> r.role AS holder
        FROM triage.roles() AS r
        WHERE j.roles ? r.role
            AND triage.roles_in(state) ->> r.role IS DISTINCT FROM j.roles -> r.role ->> 'from'
            AND triage.roles_in(state) ->> r.role IS DISTINCT FROM j.roles -> r.role ->> 'to'
        ORDER BY r.place LIMIT 1
    ) AS conflict ON true
)
SELECT _n,
    CASE WHEN NOT is_current OR conflict IS NOT NULL THEN 'rejected' WHEN s.after IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE
        WHEN NOT is_current THEN 'stale_sprint'
        WHEN conflict IS NOT NULL THEN 'role_conflict'
        WHEN s.after IS NULL THEN 'already_so'
        ELSE 'set'
    END,
    c.row, coalesce(s.after, c.row),
    jsonb_build_object('sprint', triage.sprint_name(c.expected_sprint_index), 'role_title', triage.title(c.conflict),
        'holder', coalesce('<@' || c.holder || '>', 'nobody'), 'current', coalesce(triage.sprint_name(c.stored), 'none'))
FROM compared AS c
LEFT JOIN LATERAL triage.save_state(
    _job, _actor, _reason, c.stored, CASE WHEN c.is_current AND c.conflict IS NULL THEN c.wanted END,
    %(context)s::jsonb -> 'copies'
) AS s ON true

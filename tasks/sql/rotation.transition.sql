-- An admin puts the state onto a sprint, whatever the calendar says: all roles are computed. A dry run only says what would be.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, sprint_index integer, dry_run boolean)
), computed AS MATERIALIZED (
    SELECT j.*, to_jsonb(state) AS row, sprint.sprint_name,
        triage.on_duty(j.sprint_index, %(context)s::jsonb -> 'fallback') AS roles,
        state.sprint_index IS DISTINCT FROM j.sprint_index
            OR triage.roles_in(state) <> triage.on_duty(j.sprint_index, %(context)s::jsonb -> 'fallback') AS differs
    FROM jobs AS j
    LEFT JOIN public.sprints AS sprint USING (sprint_index)
    LEFT JOIN public.current_state AS state ON state.id = 1
)
SELECT _n,
    CASE WHEN sprint_name IS NULL THEN 'wait' WHEN s.after IS NULL THEN 'unchanged' ELSE 'applied' END,
    CASE
        WHEN sprint_name IS NULL THEN 'unknown_sprint'
        WHEN dry_run AND differs THEN 'would_change'
        WHEN s.after IS NULL THEN 'already_so'
        ELSE 'changed'
    END,
    c.row,
    CASE
        WHEN sprint_name IS NULL THEN NULL
        WHEN dry_run THEN jsonb_build_object('sprint_index', c.sprint_index, 'roles', c.roles)
        ELSE coalesce(s.after, c.row)
    END,
    jsonb_build_object('sprint', sprint_name, 'people', (
        SELECT string_agg(format('%%s <@%%s>', r.title, c.roles ->> r.role), ', ' ORDER BY r.place)
        FROM triage.roles() AS r WHERE c.roles ->> r.role IS NOT NULL))
FROM computed AS c
LEFT JOIN LATERAL triage.save_state(
    _job, _actor, coalesce(_reason, 'Rotation moved by hand'), c.sprint_index,
    CASE WHEN c.sprint_name IS NOT NULL AND NOT c.dry_run THEN c.roles END, %(context)s::jsonb -> 'copies'
) AS s ON true

-- Many sprints at once, all or none: only those that differ are written. Indices without a gap, since the bot reads its
-- file by position.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, sprints jsonb)
), checked AS MATERIALIZED (
    SELECT j.*, missing.index AS gap
    FROM jobs AS j
    CROSS JOIN LATERAL (
        SELECT min(wanted.index) AS index
        FROM (SELECT generate_series(0, max((w.value ->> 'sprint_index')::integer)) AS index
              FROM jsonb_array_elements(j.sprints) AS w) AS wanted
        WHERE NOT EXISTS (SELECT FROM public.sprints AS s WHERE s.sprint_index = wanted.index)
            AND NOT EXISTS (
                SELECT FROM jsonb_array_elements(j.sprints) AS w WHERE (w.value ->> 'sprint_index')::integer = wanted.index)
    ) AS missing
)
SELECT _n,
    CASE WHEN gap IS NOT NULL THEN 'rejected' WHEN changed = 0 THEN 'unchanged' ELSE 'applied' END,
    CASE WHEN gap IS NOT NULL THEN 'gap' WHEN changed = 0 THEN 'already_so' ELSE 'imported' END,
    s.before, s.after,
    jsonb_build_object('gap', gap, 'added', added, 'updated', changed - added, 'rows', jsonb_array_length(sprints))
FROM checked AS c
CROSS JOIN LATERAL triage.save_sprints(
    _job, _actor, _reason, CASE WHEN gap IS NULL THEN sprints ELSE '[]' END, %(context)s::jsonb -> 'copies') AS s

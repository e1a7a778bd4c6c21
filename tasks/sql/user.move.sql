-- A person's rows, or the one of `from`, become the one of `to`: active if any of the merged was. Other rows stay.
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (
        _n integer, _job text, _actor text, _reason text, slack_id text, "to" text, "from" text)
)
SELECT _n,
    CASE WHEN found.rows IS NULL THEN 'rejected' WHEN changed THEN 'applied' ELSE 'unchanged' END,
    CASE WHEN found.rows IS NULL THEN 'unknown_user' WHEN changed THEN 'moved' ELSE 'already_so' END,
    before, after, jsonb_build_object('role_title', triage.title("to"))
FROM jobs AS j
CROSS JOIN LATERAL (
    -- The row of `to` gives the name where there is one; `moved` are the rows that end in it.
    SELECT jsonb_agg(jsonb_build_object('discipline', u.discipline, 'name', u.name, 'active', u.active))
            FILTER (WHERE NOT moved) AS others,
        jsonb_build_object('discipline', j."to", 'active', bool_or(u.active) FILTER (WHERE moved),
            'name', (array_agg(u.name ORDER BY u.discipline = j."to" DESC, u.id DESC) FILTER (WHERE moved))[1]) AS target,
        -- Nothing to move: neither a row of `from` nor, the job having been done before, one of `to`.
        jsonb_agg(u.id) FILTER (WHERE moved) AS rows
    FROM public.users AS u
    CROSS JOIN LATERAL (
        SELECT j."from" IS NULL OR u.discipline IN (j."from", j."to") AS moved
    ) AS m
    WHERE u.slack_id = j.slack_id
) AS found
CROSS JOIN LATERAL triage.save_user(
    _job, _actor, _reason, j.slack_id,
    CASE WHEN found.rows IS NULL THEN coalesce(others, '[]') ELSE coalesce(others, '[]') || target END,
    %(context)s::jsonb -> 'copies') AS s

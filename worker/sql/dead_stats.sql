-- Dead letters by what they have in common, the most frequent first: dead_found.sql takes the place in braces. Lanes are
-- counted by grouping twice, which needs no sorting.
SELECT kind, code, error_class, sqlstate, sum(jobs)::bigint AS jobs, count(*) AS lanes, min(first) AS first,
    max(last) AS last, min(example) AS example
FROM (
    SELECT kind, code, error_class, sqlstate, lane, count(*) AS jobs, min(finished_at) AS first, max(finished_at) AS last,
        min(job_id) AS example
    FROM ({found}) AS found
    GROUP BY kind, code, error_class, sqlstate, lane
) AS lanes
GROUP BY kind, code, error_class, sqlstate
ORDER BY jobs DESC, kind, code, error_class, sqlstate

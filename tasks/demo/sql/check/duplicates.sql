-- Rows that stand twice, and gaps in the numbers of sprints: each lost or doubled number would show.
SELECT 'users', slack_id, 'twice in ' || discipline
FROM public.users GROUP BY slack_id, discipline HAVING count(*) > 1
UNION ALL
SELECT 'sprints', sprint_name, 'is there ' || count(*) || ' times'
FROM public.sprints GROUP BY sprint_name HAVING count(*) > 1
UNION ALL
SELECT 'sprints', sprint_index::text, 'the index after it is taken twice, or by nobody'
FROM (SELECT sprint_index, lead(sprint_index) OVER (ORDER BY sprint_index) AS next FROM public.sprints) AS s
WHERE next <> sprint_index + 1
UNION ALL
SELECT 'overrides', requested_by || ' asks for ' || replacement_slack_id, 'is there ' || count(*) || ' times'
FROM public.overrides GROUP BY sprint_index, role, requested_by, replacement_slack_id HAVING count(*) > 1
UNION ALL
SELECT 'current_state', id::text, 'is a second state' FROM public.current_state WHERE id <> 1

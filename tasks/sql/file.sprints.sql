-- The sprints of sprints.json.
SELECT sprint_name, start_date, end_date, sprint_index FROM public.sprints ORDER BY sprint_index

-- Which sprints there are.
SELECT sprint_index FROM public.sprints

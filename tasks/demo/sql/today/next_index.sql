-- dataUtils: the index of a new sprint is one more than the last.
SELECT coalesce(max(sprint_index), -1) + 1 FROM sprints

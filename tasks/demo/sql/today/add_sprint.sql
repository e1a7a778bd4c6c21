-- SprintsRepository.addSprint
INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)
VALUES (%(sprint_name)s, %(start_date)s, %(end_date)s, %(sprint_index)s)
ON CONFLICT (sprint_index) DO UPDATE SET
    sprint_name = EXCLUDED.sprint_name, start_date = EXCLUDED.start_date, end_date = EXCLUDED.end_date,
    updated_at = CURRENT_TIMESTAMP
RETURNING id, to_jsonb(sprints)

-- UsersRepository.addUser
INSERT INTO users (slack_id, name, discipline, active) VALUES (%(slack_id)s, %(name)s, %(discipline)s, TRUE)
ON CONFLICT (slack_id, discipline) DO UPDATE SET name = EXCLUDED.name, active = TRUE, updated_at = CURRENT_TIMESTAMP
RETURNING id, to_jsonb(users)

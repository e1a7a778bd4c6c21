-- UsersRepository: the lists of active people, in the order that the rotation counts.
SELECT discipline, slack_id FROM users WHERE active ORDER BY name, id

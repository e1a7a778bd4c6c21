-- The people of disciplines.json: the bot takes the n-th active one, so their order is that of the rotation.
SELECT discipline, name, slack_id, active FROM public.users ORDER BY name, id

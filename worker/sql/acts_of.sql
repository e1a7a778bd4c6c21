-- What operators did to a job, oldest first.
SELECT at, actor, act, reason, details FROM onelane.acts WHERE job_id = %(id)s ORDER BY id

-- The dead letters that a filter finds, in the order of a replay: lowest number first. A condition that is null is none; it
-- costs nothing, since the statement is planned with the values at hand. Letters on their way back are found by id, or if
-- they are asked for.
SELECT job_id, seq, lane, kind, code, error_class, sqlstate, finished_at
FROM onelane.ledger
WHERE ((status = 'dead' AND NOT %(replaying)s::boolean)
        OR (status = 'replaying' AND (%(replaying)s::boolean OR %(ids)s::text[] IS NOT NULL)))
    AND (%(ids)s::text[] IS NULL OR job_id = ANY (%(ids)s))
    AND (%(lane)s::text IS NULL OR lane = %(lane)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(code)s::text IS NULL OR code = %(code)s)
    AND (%(error)s::text IS NULL OR error_class = %(error)s)
    AND (%(sqlstate)s::text IS NULL OR sqlstate = %(sqlstate)s)
    AND (%(older)s::float8 IS NULL OR finished_at <= clock_timestamp() - make_interval(secs => %(older)s))
    AND (%(newer)s::float8 IS NULL OR finished_at > clock_timestamp() - make_interval(secs => %(newer)s))
    AND (%(text)s::text IS NULL OR position(lower(%(text)s) IN lower(error)) > 0
        OR position(convert_to(%(text)s, 'UTF8') IN body) > 0)
    AND (seq, job_id) > (%(after_seq)s::bigint, %(after_id)s::text COLLATE "C")
ORDER BY seq, job_id
LIMIT %(limit)s::bigint

-- Changes that no audit row tells of, and audit rows that tell of no change. `values` asks for the true old and new values
-- too; today's bot is not asked for them.
WITH changes AS (
    SELECT table_name, record_id, operation, CASE WHEN %(values)s THEN old END AS old, CASE WHEN %(values)s THEN new END AS new
    FROM demo.witness
), told AS (
    SELECT table_name, record_id, operation, CASE WHEN %(values)s THEN old_values END, CASE WHEN %(values)s THEN new_values END
    FROM public.audit_logs
)
SELECT 'missing', table_name || ' ' || record_id, operation || ' has no audit row'
FROM (SELECT * FROM changes EXCEPT ALL SELECT * FROM told) AS missing
UNION ALL
SELECT 'false', table_name || ' ' || record_id, operation || ' is in the audit and never was'
FROM (SELECT * FROM told EXCEPT ALL SELECT * FROM changes) AS invented

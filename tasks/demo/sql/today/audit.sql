-- logAudit, on another connection of the pool.
INSERT INTO audit_logs (table_name, record_id, operation, old_values, new_values, changed_by, reason)
VALUES (%(table_name)s, %(record_id)s, %(operation)s, %(old)s, %(new)s, %(changed_by)s, %(reason)s)

-- OverridesRepository.approveOverride
UPDATE overrides SET approved = TRUE, approved_by = %(approved_by)s, approval_timestamp = CURRENT_TIMESTAMP
WHERE sprint_index = %(sprint_index)s AND role = %(role)s AND requested_by = %(requested_by)s
    AND replacement_slack_id = %(replacement_slack_id)s AND approved = FALSE
RETURNING id, to_jsonb(overrides)

-- OverridesRepository.declineOverride, its second half; how many rows it took away is not asked.
DELETE FROM overrides
WHERE sprint_index = %(sprint_index)s AND role = %(role)s AND requested_by = %(requested_by)s
    AND replacement_slack_id = %(replacement_slack_id)s AND approved = FALSE

-- OverridesRepository.declineOverride, its first half: read, without a lock.
SELECT id, to_jsonb(overrides) FROM overrides
WHERE sprint_index = %(sprint_index)s AND role = %(role)s AND requested_by = %(requested_by)s
    AND replacement_slack_id = %(replacement_slack_id)s AND approved = FALSE

-- OverridesRepository.addOverrideRequest: the same request again takes the approval away.
INSERT INTO overrides (sprint_index, role, replacement_slack_id, replacement_name, requested_by, approved)
VALUES (%(sprint_index)s, %(role)s, %(replacement_slack_id)s, %(replacement_name)s, %(requested_by)s, FALSE)
ON CONFLICT (sprint_index, role, requested_by, replacement_slack_id) DO UPDATE SET
    replacement_name = EXCLUDED.replacement_name, approved = FALSE, updated_at = CURRENT_TIMESTAMP
RETURNING id, to_jsonb(overrides)

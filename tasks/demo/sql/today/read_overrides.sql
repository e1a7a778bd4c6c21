-- OverridesRepository: the approved ones of a sprint, newest first.
SELECT role, replacement_slack_id FROM overrides
WHERE sprint_index = %(sprint_index)s AND approved ORDER BY created_at DESC, id DESC

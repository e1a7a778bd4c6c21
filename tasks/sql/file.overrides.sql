-- The requests of overrides.json: the bot takes the first approved one, and that must be the one that counts.
SELECT sprint_index, role, replacement_slack_id, replacement_name, requested_by, approved IS TRUE AS approved, created_at,
    approved_by, approval_timestamp, original_slack_id
FROM public.overrides ORDER BY created_at DESC, id DESC

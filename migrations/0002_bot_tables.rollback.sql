-- Takes the bot's tables away again; only for a database that had none before.
DROP TABLE public.admin_channel_membership, public.audit_logs, public.overrides, public.current_state, public.sprints, public.users;
DROP FUNCTION public.update_updated_at_column();

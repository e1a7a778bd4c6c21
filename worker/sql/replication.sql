-- Whether this server is a standby, and how far its slowest replica is behind, s (null without one, or where the role
-- may not see it).
SELECT pg_is_in_recovery(), (SELECT extract(epoch FROM max(replay_lag))::float8 FROM pg_stat_replication)

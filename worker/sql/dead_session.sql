-- A session that looks through dead letters: filters are planned with the values at hand, a chunk is read from its index in
-- order, and looking through a million takes as long as it takes.
SET plan_cache_mode = force_custom_plan;
SET enable_bitmapscan = off;
SET statement_timeout = '60s'

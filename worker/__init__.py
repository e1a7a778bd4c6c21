"""The engine: per-entity lanes in Redis, drained by single-concurrency Celery workers into PostgreSQL."""

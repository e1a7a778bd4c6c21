"""A real Redis and a real PostgreSQL of one's own, for `onelane up`, `onelane demo` and the tests.

with start_redis(Path(".onelane/redis")) as redis, start_postgres(Path(".onelane/postgres")) as postgres:
    ...  # redis.url, postgres.url
"""

from worker.embedded.postgres import RunningPostgres, start_postgres
from worker.embedded.redis import RunningRedis, start_redis

__all__ = ["RunningPostgres", "RunningRedis", "start_postgres", "start_redis"]

"""A Redis and a PostgreSQL of these tests' own, which they may kill; a notebook on them; processes to kill."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from redis import Redis

from tests.chaos.puppet import Puppets
from tests.integration.kinds import make_tables
from tests.integration.notebook import Notebook
from worker.embedded import RunningPostgres, RunningRedis, start_postgres, start_redis
from worker.migrate import migrate
from worker.settings import Settings

TEMPLATE = "notebook_template"


@dataclass(frozen=True)
class Stand:
    """Servers that may be stopped, killed and paused; whoever does so brings them back."""

    redis: RunningRedis
    postgres: RunningPostgres

    def revive(self) -> None:
        """Have both run."""
        for server in (self.redis, self.postgres):
            if not server.running:
                server.start()


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The servers; what they have acknowledged is on disk."""
    root = tmp_path_factory.mktemp("stand")
    with start_redis(root / "redis") as redis, start_postgres(root / "postgres") as postgres:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        migrate(postgres.url_of(TEMPLATE))
        make_tables(postgres.url_of(TEMPLATE))
        with Redis.from_url(redis.url) as client:
            client.config_set("hz", 500)
        yield Stand(redis, postgres)


@pytest.fixture
def settings(stand: Stand, prefix: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings on the stand, with a database and a broker of the test's own, and short leases."""
    stand.revive()
    name = sql.Identifier(f"chaos_{uuid4().hex}")
    with psycopg.connect(stand.postgres.url, autocommit=True) as connection:
        copy = "CREATE DATABASE {} TEMPLATE {}"
        connection.execute(sql.SQL(copy).format(name, sql.Identifier(TEMPLATE)))
    with Redis.from_url(stand.redis.url) as client:
        client.flushall()
    yield Settings(
        redis_url=stand.redis.url,
        database_url=urlunsplit(urlsplit(stand.postgres.url)._replace(path=f"/{name.as_string()[1:-1]}")),
        prefix=prefix,
        effects_stream=f"{prefix}:effects",
        data_dir=tmp_path,
        tasks="tests.integration.kinds",
        linger_ms=100,
        slice_ms=5_000,
        lease_ms=1_000,
        backoff_base_ms=2,
        backoff_cap_ms=50,
        lock_timeout_ms=300,
        redis_timeout_ms=1_000,
    )
    stand.revive()
    with psycopg.connect(stand.postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def notebook(settings: Settings) -> Iterator[Notebook]:
    """A notebook on the stand."""
    opened = Notebook(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def fork() -> multiprocessing.context.ForkServerContext:
    """Starts processes in a few ms: a server that has imported what they need forks them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.chaos.puppet"])
    return context


@pytest.fixture
def puppets(settings: Settings, fork: multiprocessing.context.ForkServerContext) -> Iterator[Puppets]:
    """Workers as processes that stop where the test wants."""
    opened = Puppets(settings, fork)
    yield opened
    opened.close()

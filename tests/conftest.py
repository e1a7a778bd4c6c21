"""Real services for every test: one Redis and one PostgreSQL a session; a key prefix and a database of its own a test.

A session is one process of pytest. Whole directories are tested by several at once, each with services of its own.
Set ONELANE_TEST_REDIS_URL and ONELANE_TEST_DATABASE_URL to use others than the embedded ones. The database's
user must be allowed to create databases.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tests.databases import name_of, new_database
from worker.embedded import start_postgres, start_redis
from worker.migrate import migrate


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Processes for `-n auto`: one more than cores, as tests often wait; none for what starts sooner without."""
    everything = all(Path(name).is_dir() for name in config.args) and not config.option.keyword
    return (os.cpu_count() or 1) + 1 if everything else 0


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the session's Redis."""
    if url := os.environ.get("ONELANE_TEST_REDIS_URL"):
        yield url
        return
    with start_redis(tmp_path_factory.mktemp("redis"), durable=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the session's PostgreSQL."""
    if url := os.environ.get("ONELANE_TEST_DATABASE_URL"):
        yield url
        return
    with start_postgres(tmp_path_factory.mktemp("postgres"), durable=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """The name of a database with all migrations applied, to clone."""
    with new_database(postgres_server) as url:
        migrate(url)
        yield name_of(url)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The session's Redis; use `prefix` for every key, other tests live there too."""
    return redis_server


@pytest.fixture
def prefix() -> str:
    """A prefix for Redis keys that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis"]:
    """A client of `redis_url`."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A fresh database of this test's own, migrated."""
    with new_database(postgres_server, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres_server: str) -> Iterator[str]:
    """A fresh database of this test's own, with nothing in it."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to `database_url`."""
    with psycopg.connect(database_url) as opened:
        yield opened

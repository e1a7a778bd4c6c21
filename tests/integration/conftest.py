"""A notebook for each test: a partition of its own, an emptied database, and settings that keep tests short."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tests.databases import new_database
from tests.integration.kinds import make_tables
from tests.integration.notebook import Notebook
from worker.settings import Settings

FILLED = ("lines", "audit", "faults", "seals", "pages", "onelane.ledger", "onelane.fences", "onelane.outbox")


@pytest.fixture(scope="session")
def notebook_database(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """One database for all tests here; making one takes longer than most of them."""
    with new_database(postgres_server, migrated_template) as url:
        make_tables(url)
        yield url


@pytest.fixture(scope="session")
def prompt_redis(redis_server: str) -> str:
    """The session's Redis, which ends blocking commands within ms of their time, not within 100 ms."""
    with Redis.from_url(redis_server) as client:
        client.config_set("hz", 500)
    return redis_server


@pytest.fixture
def settings(prompt_redis: str, notebook_database: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings for a partition and a database with nothing in them; backoffs and lingering last a few ms."""
    with psycopg.connect(notebook_database, autocommit=True) as connection:
        for table in FILLED:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
    return Settings(
        redis_url=prompt_redis,
        database_url=notebook_database,
        prefix=prefix,
        effects_stream=f"{prefix}:effects",
        data_dir=tmp_path,
        linger_ms=1,
        backoff_base_ms=2,
        backoff_cap_ms=8,
        lock_timeout_ms=300,
    )


@pytest.fixture
def notebook(settings: Settings) -> Iterator[Notebook]:
    """A notebook on them."""
    opened = Notebook(settings)
    yield opened
    opened.close()

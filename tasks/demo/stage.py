"""The stage: a Redis and a PostgreSQL in a temporary directory, with two copies of one legacy database.

One copy stays as it is, for today's bots; the other is brought up by our migrations. Both get the same witness. All is
durable as in production: AOF and fsync on. Settings of the environment are left out, and everything runs inside the
directory, so nothing of the place where the demo is started (a `tasks.py`, say) can get into a worker.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection

from tasks.demo.query import query
from tasks.settings import TriageSettings
from worker.embedded import start_postgres, start_redis
from worker.embedded.postgres import RunningPostgres
from worker.interrupt import undivided
from worker.migrate import migrate
from worker.settings import Settings

LEASE_MS, LOCK_TIMEOUT_MS = 2_000, 300
"""How soon the workers notice a dead one, and give up on a lock; only so that nobody waits for it here."""


@dataclass(frozen=True)
class Stage:
    """Where both halves play."""

    legacy_url: str
    settings: Settings
    """Of the second half: its Redis and its database."""


@contextmanager
def stage() -> Iterator[Stage]:
    """Start the services and make both databases; stop and remove everything in the end."""
    with _no_settings(), _own_folder() as folder, contextlib.chdir(folder):
        data = Path(folder)
        data.chmod(0o711)  # PostgreSQL may run as another user, below it
        with start_redis(data / "redis") as redis, start_postgres(data / "postgres") as postgres:
            _make_databases(postgres)
            url = postgres.url_of("lanes")
            settings = Settings(
                redis_url=redis.url,
                database_url=url,
                data_dir=data,
                lease_ms=LEASE_MS,
                lock_timeout_ms=LOCK_TIMEOUT_MS,
            )
            yield Stage(postgres.url_of("legacy"), settings)


@contextmanager
def _own_folder() -> Iterator[str]:
    """A directory that is removed in the end, however early we are interrupted."""
    with contextlib.ExitStack() as end:
        with undivided():
            folder = end.enter_context(tempfile.TemporaryDirectory(prefix="onelane-demo-"))
        yield folder


@contextmanager
def _no_settings() -> Iterator[None]:
    """Without what the environment says about settings, until the block ends."""
    names = {
        prefix + field.upper()
        for cls, prefix in ((Settings, "ONELANE_"), (TriageSettings, "TRIAGE_"))
        for field in cls.model_fields
    }
    hidden = {name: os.environ.pop(name) for name in names & os.environ.keys()}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _make_databases(postgres: RunningPostgres) -> None:
    with connected(postgres.url) as connection:
        connection.execute("CREATE DATABASE legacy")
    with connected(postgres.url_of("legacy")) as connection:
        for script in ("legacy", "team", "witness"):
            connection.execute(query(script))
    with connected(postgres.url) as connection:
        connection.execute("CREATE DATABASE lanes TEMPLATE legacy")
    migrate(postgres.url_of("lanes"), modules=["tasks"])
    with connected(postgres.url_of("lanes")) as connection:
        connection.execute(query("lanes_witness"))


def connected(url: str) -> Connection[tuple[Any, ...]]:
    """A connection in autocommit mode."""
    return psycopg.connect(url, autocommit=True)

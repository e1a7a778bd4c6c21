"""The stage: a Redis, a migrated PostgreSQL, and the crews, all local and made for one benchmark run.

PostgreSQL notes the moment of each commit (`track_commit_timestamp`), so that latency ends where the work is done, in
the same way for every system that writes here. Settings of the environment are left out: defaults are measured.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import Connection

from bench.crew import Crew, crew
from bench.plain import QUEUES
from worker import Client
from worker.embedded import start_postgres, start_redis
from worker.migrate import migrate
from worker.settings import Settings

WORKERS = 2
PLAIN_DB = 1
"""Plain Celery's Redis database: its workers and ours do not hear each other's gossip."""
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Stage:
    """Where everything is measured."""

    settings: Settings
    client: Client
    database: Connection
    quick: bool

    @property
    def plain_broker(self) -> str:
        """Where plain Celery's messages go."""
        return self.settings.broker.replace("db=0", f"virtual_host={PLAIN_DB}")

    @property
    def services(self) -> dict[str, str]:
        """The variables by which a worker or a command finds this stage."""
        return {
            "ONELANE_REDIS_URL": self.settings.redis_url,
            "ONELANE_DATABASE_URL": self.settings.database_url,
            "ONELANE_DATA_DIR": str(self.settings.data_dir),
        }

    def rounds(self, full: int) -> int:
        """How often a measurement is repeated."""
        return 1 if self.quick else full

    def crew(
        self, workers: int = WORKERS, *, app: str = "worker.app", environment: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Crew]:
        """Our workers, or others on the same lanes; with more variables in their environment."""
        found = {**self.services, **(environment or {})}
        return crew(app, self.settings.broker, [[]] * workers, found, self._log)

    def plain_crew(self, workers: int = WORKERS) -> AbstractContextManager[Crew]:
        """Plain Celery's workers, one for each queue."""
        found = {"BENCH_BROKER_URL": self.plain_broker, "BENCH_DATABASE_URL": self.settings.database_url}
        return crew("bench.plain", self.plain_broker, [["-Q", queue] for queue in QUEUES[:workers]], found, self._log)

    @property
    def _log(self) -> Path:
        return self.settings.data_dir / "workers.log"

    def clear(self) -> None:
        """Empty Redis; no worker may run."""
        self.client.redis.flushall()

    def tidy(self) -> None:
        """Bring the tables into the state that autovacuum keeps them in: each measurement begins alike."""
        self.database.execute("VACUUM (ANALYZE) users, audit_logs, onelane.ledger, onelane.fences, onelane.outbox")
        self.database.execute("CHECKPOINT")

    def waiting(self) -> int:
        """How many jobs wait in all lanes."""
        return int(self.client.redis.hlen(self.client.keys.named("pending")))

    def await_idle(self) -> None:
        """Wait until no drain is at work or lingers."""
        drains = self.client.keys.named("drains")
        until(lambda: not self.client.redis.zcard(drains))


@contextmanager
def stage(*, quick: bool) -> Iterator[Stage]:
    """Start everything; stop and remove it in the end."""
    for name in [name for name in os.environ if name.startswith(("ONELANE_", "TRIAGE_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="onelane-bench-") as folder:
        data = Path(folder)
        data.chmod(0o711)  # PostgreSQL may run as another user, below it
        with start_redis(data / "redis") as redis, start_postgres(data / "postgres") as postgres:
            migrate(postgres.url)
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            postgres.restart()
            settings = Settings.load(redis_url=redis.url, database_url=postgres.url, data_dir=data)
            with psycopg.connect(postgres.url, autocommit=True) as connection:
                yield Stage(settings, Client(settings), connection, quick)


def until(condition: Callable[[], bool]) -> None:
    """Look every few ms whether it is so. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not get it done; is the machine overloaded?")
        time.sleep(0.005)

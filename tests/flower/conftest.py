"""One real Flower, as `onelane up` starts it, and two real workers, on a Redis of their own, for all tests here.

Flower hears only what is said while it listens, so it is there before the first job.
"""

import socket
from collections.abc import Iterator

import psycopg
import pytest

from tests.databases import new_database
from tests.flower import books
from tests.flower.dashboard import Dashboard
from tests.operations.conftest import running, until
from worker.client import Client
from worker.embedded import start_redis
from worker.job import load_kinds
from worker.settings import Settings
from worker.up import CELERY, FLOWER_USER, Flower, worker_command


@pytest.fixture(scope="session")
def settings(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str, migrated_template: str
) -> Iterator[Settings]:
    """Settings for services that nobody else uses. Who fails waits for an hour, or until somebody lets it try again."""
    load_kinds([books.__name__])
    directory = tmp_path_factory.mktemp("flower")
    with (
        start_redis(directory / "redis", durable=False) as redis,
        new_database(postgres_server, migrated_template) as url,
    ):
        with psycopg.connect(url) as connection:
            connection.execute(books.TABLES)
        yield Settings(
            redis_url=redis.url,
            database_url=url,
            data_dir=directory,
            tasks=f"tasks,{books.__name__}",
            lock_timeout_ms=150,
            max_attempts=50,
            backoff_base_ms=3_600_000,
            backoff_cap_ms=3_600_000,
        )


@pytest.fixture(scope="session")
def flower(settings: Settings) -> Iterator[Dashboard]:
    """Flower, alone."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = Flower.on(port)
    assert started.password is not None
    dashboard = Dashboard(started.url, FLOWER_USER, started.password)
    with running([*CELERY, "flower"], settings, settings.data_dir / "flower-log", **started.environment()):
        until(dashboard.is_up)
        yield dashboard


@pytest.fixture(scope="session")
def dashboard(settings: Settings, flower: Dashboard) -> Iterator[Dashboard]:
    """Flower, and two workers that it knows."""
    logs = [settings.data_dir / f"{name}-log" for name in ("w1", "w2")]
    with (
        running(worker_command(settings, "w1@%h"), settings, logs[0]),
        running(worker_command(settings, "w2@%h"), settings, logs[1]),
    ):
        until(lambda: flower.online() == {"w1", "w2"})
        yield flower
    for log in logs:
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def client(settings: Settings) -> Iterator[Client]:
    """A bot's client."""
    opened = Client(settings)
    yield opened
    opened.redis.close()


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    """Somebody else at work in the database; what is locked stays locked until `rollback`."""
    with psycopg.connect(settings.require_database()) as opened:
        yield opened

"""One `onelane up` for most tests of the command line, as a user has it: in a directory, with a module of job kinds."""

import shutil
import socket
from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from tests.acceptance import stamps
from tests.acceptance.onelane import Onelane, interrupt, until
from worker.lane import Keys
from worker.settings import Settings


@pytest.fixture(scope="session")
def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def onelane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Onelane]:
    """Commands in the directory of a running `onelane up` with two workers. A lane that fails is parked for long."""
    directory = tmp_path_factory.mktemp("up")
    shutil.copy(stamps.__file__, directory / "mystamps.py")
    onelane = Onelane(directory, ONELANE_TASKS="tasks,mystamps")
    patient = onelane.with_settings(ONELANE_BACKOFF_BASE_MS="60000")
    running = patient.start("up", "--workers", "2", "--no-flower")
    try:
        until((directory / ".onelane" / "services.json").exists, "services")
        stamps.make_tables(onelane.services()["database_url"])
        yield onelane
    finally:
        code = interrupt(running)
    log = (directory / "log").read_text()
    assert (code, "Stopped." in log, "Traceback" in log) == (0, True, False), log


@pytest.fixture(scope="session")
def database(onelane: Onelane) -> Iterator[psycopg.Connection]:
    """The database of the running `up`."""
    with psycopg.connect(onelane.services()["database_url"], autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def lanes(onelane: Onelane) -> Iterator[Redis]:
    """The Redis of the running `up`."""
    with Redis.from_url(onelane.services()["redis_url"]) as redis:
        yield redis


@pytest.fixture(scope="session")
def settings(onelane: Onelane) -> Settings:
    """The settings that find the running `up`."""
    return Settings.load(data_dir=onelane.directory / ".onelane")


@pytest.fixture(scope="session")
def keys() -> Keys:
    """Its keys."""
    return Keys("onelane")


@pytest.fixture
def page(request: pytest.FixtureRequest) -> str:
    """A page of this test's own, and so a lane: `page:<page>`."""
    return str(request.node.name).removeprefix("test_")[:60]

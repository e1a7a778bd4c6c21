"""The outage of Redis is told while Redis is away, by one process in all if that can be known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.operations.conftest import Receiver, until
from worker.embedded import start_redis
from worker.embedded.redis import RunningRedis
from worker.sentinel import Sentinel
from worker.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""apprise imports it; Python 3.13, which has it no more, apprise supports as well."""

MakeSentinel = Callable[..., Sentinel]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningRedis]:
    """A Redis that may be killed."""
    with start_redis(tmp_path / "own") as started:
        yield started


@pytest.fixture
def settings(settings: Settings, receiver: Receiver, server: RunningRedis) -> Settings:
    return settings.model_copy(update={"alert_urls": receiver.url, "redis_url": server.url})


@pytest.fixture
def make_sentinel(settings: Settings) -> Iterator[MakeSentinel]:
    """Makes sentinels of workers on the same host, or on another one of that name."""
    made = []

    def make(host: str = "", *, stay_over_seconds: float = 0.0, **changes: str) -> Sentinel:
        changed = settings.model_copy(update={"data_dir": settings.data_dir / host, **changes})
        made.append(Sentinel(changed, stay_over_seconds=stay_over_seconds))
        return made[-1]

    yield make
    for sentinel in made:
        sentinel.leave()


def test_one_worker_of_a_host_tells_at_the_second_look_and_again_when_it_is_over(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver, settings: Settings
) -> None:
    workers = [make_sentinel() for _ in range(3)]
    server.kill()
    settings.data_dir.joinpath("spool.jsonl").write_bytes(b"12345\n")
    assert [worker.round() for worker in workers] == [False] * 3
    assert receiver.titles == [], "a lost connection is no outage"
    for _ in range(3):
        assert [worker.round() for worker in workers] == [False] * 3
    assert receiver.titles == ["Onelane: outage of redis"]
    assert receiver.messages[0]["message"].splitlines()[0] == (
        "Redis can't be used (ConnectionError): jobs wait, new ones go to the spool."
        " 6 bytes of jobs wait in this host's spool."
    )
    settings.data_dir.joinpath("spool.jsonl").write_bytes(b"")
    server.start()
    for _ in range(2):
        assert [worker.round() for worker in workers] == [True] * 3
    assert receiver.titles == ["Onelane: outage of redis", "Onelane: over: outage of redis"]


def test_workers_on_many_hosts_let_postgresql_choose_who_tells(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver
) -> None:
    workers = [make_sentinel(host) for host in ("a", "b", "c")]
    server.kill()
    for _ in range(3):
        for worker in workers:
            worker.round()
    assert receiver.titles == ["Onelane: outage of redis"]
    workers[0].leave()
    workers[1].round()
    assert receiver.titles == ["Onelane: outage of redis"] * 2, "who takes over can't know what was told"


def test_while_postgresql_is_away_too_one_worker_of_each_host_tells(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    workers = [make_sentinel(host, database_url=nowhere) for host in ("a", "a", "b", "b")]
    server.kill()
    for _ in range(3):
        for worker in workers:
            worker.round()
    assert receiver.titles == ["Onelane: outage of redis"] * 2


def test_where_no_file_can_be_locked_each_host_tells_if_postgresql_lets_it(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver, settings: Settings
) -> None:
    settings.data_dir.joinpath("file").touch()
    workers = [make_sentinel("file") for _ in range(2)]
    server.kill()
    for _ in range(3):
        assert [worker.round() for worker in workers] == [False, False]
    assert receiver.titles == ["Onelane: outage of redis"]
    assert receiver.messages[0]["message"].splitlines()[0] == (
        f"Redis can't be used (ConnectionError): jobs wait. The spool in {settings.data_dir}/file can't be used"
        " (Not a directory): mend that, or name another directory in ONELANE_DATA_DIR."
    )


def test_a_redis_that_comes_and_goes_is_one_outage(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver, settings: Settings
) -> None:
    worker = make_sentinel(stay_over_seconds=3600)
    for _ in range(3):
        server.kill()
        worker.round()
        worker.round()
        server.start()
        assert worker.round()
    worker._redis_outage._stay_over_seconds = 0
    worker.round()
    assert receiver.titles == ["Onelane: outage of redis", "Onelane: over: outage of redis"]
    assert ", 6 times. " in receiver.messages[1]["message"]
    with Redis.from_url(settings.redis_url) as redis:
        assert redis.ping()


def test_who_could_not_be_told_of_the_beginning_is_tried_again_and_not_told_of_the_end(
    server: RunningRedis, make_sentinel: MakeSentinel, receiver: Receiver
) -> None:
    worker = make_sentinel(alert_urls=f"json://127.0.0.1:1/ {receiver.url}")
    receiver.status = 500
    server.kill()
    worker.round()
    worker.round()
    assert (receiver.refused, receiver.titles) == (1, [])
    receiver.status = 200
    worker.round()
    worker.round()
    server.start()
    until(worker.round)
    assert receiver.titles == ["Onelane: outage of redis", "Onelane: over: outage of redis"]

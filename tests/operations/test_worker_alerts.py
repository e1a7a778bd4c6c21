"""A real Celery worker tells people what went wrong, and no job minds whether anybody listens."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operations import kinds
from tests.operations.conftest import ROOT, Receiver, environment, running_worker, until
from worker.client import Client
from worker.database import connect
from worker.embedded import start_redis
from worker.embedded.redis import RunningRedis
from worker.job import load_kinds
from worker.settings import Settings


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningRedis]:
    """A Redis that may be killed."""
    with start_redis(tmp_path / "own") as started:
        yield started


@pytest.fixture
def settings(settings: Settings, receiver: Receiver, server: RunningRedis) -> Settings:
    with connect(settings) as connection:
        kinds.make_tables(connection)
    load_kinds([kinds.__name__])
    changes = {"alert_urls": receiver.url, "redis_url": server.url, "tasks": f"tasks,{kinds.__name__}"}
    return settings.model_copy(update=changes)


def first_lines(receiver: Receiver) -> list[str]:
    return [message["message"].splitlines()[0] for message in receiver.messages]


def test_a_poison_job_is_one_message_and_two_hundred_more_are_counted_in_it(
    settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    client = Client(settings)
    with running_worker(settings, tmp_path / "log"):
        handles = client.enqueue_many([kinds.Save(number=-n) for n in range(201)], actor="U0EXAMPLE01")
        assert {handle.wait(20).status for handle in handles} == {"dead"}
        until(lambda: receiver.titles)
        client.enqueue(kinds.SaveOrHold(number=-1), actor="U0EXAMPLE01").wait(20)
        until(lambda: len(receiver.titles) > 1)
    assert receiver.titles == ["Onelane: dead letters", "Onelane: held lanes"]
    said, more = receiver.messages[0]["message"].splitlines()
    assert said.startswith("number.save ")
    assert said.endswith(
        'is a dead letter (permanent): new row for relation "numbers" violates check constraint "numbers_are_positive"'
    )
    assert more.endswith(" times. More: onelane dead list")
    assert first_lines(receiver)[1].startswith("The lane number:-1 is held: dead letter ")
    client.redis.close()


def test_an_outage_of_postgresql_is_told_although_no_job_comes(
    settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    nowhere = settings.model_copy(update={"database_url": "postgresql://me:secret@127.0.0.1:1/bot"})
    with running_worker(nowhere, tmp_path / "log"):
        until(lambda: receiver.titles)
    assert receiver.titles == ["Onelane: outage of postgresql"]
    assert first_lines(receiver)[0].startswith("PostgreSQL (bot at 127.0.0.1) can't be used: ")
    assert "secret" not in str(receiver.messages) + (tmp_path / "log").read_text()


def test_of_two_workers_one_tells_that_redis_is_away(
    settings: Settings, receiver: Receiver, server: RunningRedis, tmp_path: Path
) -> None:
    client = Client(settings)
    with running_worker(settings, tmp_path / "log"), running_worker(settings, tmp_path / "log2"):
        client.enqueue(kinds.Save(number=1), actor="U0EXAMPLE01").wait(20)
        until(lambda: client.redis.zcard(client.keys.named("workers")) == 2)
        server.kill()
        until(lambda: receiver.titles)
        server.start()
        assert client.enqueue(kinds.Save(number=2), actor="U0EXAMPLE01").wait(20).status == "applied"
    assert receiver.titles == ["Onelane: outage of redis"]
    assert first_lines(receiver)[0].startswith("Redis can't be used (ConnectionError)")
    client.redis.close()


def test_a_receiver_that_hangs_delays_no_job_and_no_stop(settings: Settings, tmp_path: Path) -> None:
    client, log = Client(settings), tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"json://127.0.0.1:{silent.getsockname()[1]}/"
        with running_worker(settings.model_copy(update={"alert_urls": url}), log) as worker:
            for number in range(1, 20):
                assert client.enqueue(kinds.Save(number=-number), actor="U0EXAMPLE01").wait(20).status == "dead"
                assert client.enqueue(kinds.Save(number=number), actor="U0EXAMPLE01").wait(20).status == "applied"
            until(lambda: "could not be told" in log.read_text())
            worker.terminate()
            assert worker.wait(20) == 0
    client.redis.close()


LOADED = """
import sys, worker, worker.cli, worker.app
from worker.sentinel import Sentinel
sentinel = Sentinel(worker.app.settings)
sentinel.round()
sentinel.leave()
print("apprise" in sys.modules)
"""


def test_apprise_is_loaded_by_nobody_who_has_nothing_to_tell(settings: Settings) -> None:
    for urls in ("", "json://127.0.0.1:1/"):
        known = environment(settings.model_copy(update={"alert_urls": urls}))
        done = subprocess.run(
            [sys.executable, "-c", LOADED], cwd=ROOT, env=known, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "False"

"""Real workers tell people: no write waits for a receiver, and whatever is killed, everybody is told."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.onelane import Onelane
from tests.databases import new_database
from tests.feedback.receiver import Receiver
from tests.operations import kinds
from tests.operations.conftest import environment, running_worker, until
from worker.client import Client, Handle
from worker.job import load_kinds
from worker.replies import AGAIN, reply_keys
from worker.settings import Settings

ACTOR = "U0EXAMPLE01"
SAVED, DEAD = "number.save: saved.", "This could not be carried out. The operators have been told and can repeat it."


@pytest.fixture
def settings(
    redis_url: str, postgres_server: str, migrated_template: str, prefix: str, tmp_path: Path
) -> Iterator[Settings]:
    """Settings for a partition and a database of this test's own."""
    load_kinds([kinds.__name__])
    with new_database(postgres_server, migrated_template) as url:
        with psycopg.connect(url) as connection:
            kinds.make_tables(connection)
        yield Settings(
            redis_url=redis_url,
            database_url=url,
            prefix=prefix,
            data_dir=tmp_path,
            tasks=f"tasks,{kinds.__name__}",
            lock_timeout_ms=60_000,
            statement_timeout_ms=60_000,
            log_level="DEBUG",
        )


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """A bot's client."""
    opened = Client(settings)
    yield opened
    opened.redis.close()


def save(client: Client, number: int, reply_to: str | None = None) -> Handle:
    return client.enqueue(kinds.Save(number=number), actor=ACTOR, reply_to=reply_to)


def test_a_receiver_that_hangs_delays_no_write_no_other_reply_and_no_stop(
    settings: Settings, client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.hanging = {"hanging"}
    log = tmp_path / "log"
    with running_worker(settings, log) as worker:
        assert save(client, 1, receiver.url("hanging")).wait(20).status == "applied"
        until(lambda: receiver.asked)
        for number in range(2, 12):
            assert save(client, number, receiver.url("ann")).wait(20).status == "applied"
            assert save(client, -number, receiver.url("hanging")).wait(20).status == "dead"
        until(lambda: len(receiver.taken["ann"]) == 10)
        assert receiver.taken["hanging"] == []
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert receiver.taken["ann"] == [SAVED] * 10
    assert "hanging" not in log.read_text()
    receiver.hanging = set()
    client.redis.zadd(reply_keys(settings).named("ready"), dict.fromkeys(lanes(client, settings), 1))
    with running_worker(settings, log):
        until(lambda: len(receiver.taken["hanging"]) == 11)
    assert receiver.taken["hanging"] == [SAVED, *[DEAD] * 10]


def lanes(client: Client, settings: Settings) -> list[bytes]:
    """The lanes of replies that wait."""
    found: list[bytes] = client.redis.zrange(reply_keys(settings).named("ready"), 0, -1)
    return found


def end_leases(client: Client, settings: Settings) -> None:
    """The time of every lease is over, as if it had passed."""
    for keys in (client.keys, reply_keys(settings)):
        for lane in client.redis.zrange(keys.named("claimed"), 0, -1):
            client.redis.zadd(keys.named("claimed"), {lane: 1}, xx=True)


def test_workers_that_are_killed_on_the_way_leave_nobody_without_a_reply(
    settings: Settings, client: Client, receiver: Receiver, tmp_path: Path
) -> None:
    """One between the commit and the relay, one between the relay and the answer of the receiver."""
    log = tmp_path / "log"
    with psycopg.connect(settings.require_database()) as relaying, running_worker(settings, log):
        until(lambda: client.redis.zcard(client.keys.named("workers")))
        save(client, 1).wait(20)
        relaying.execute("SELECT pg_advisory_xact_lock(hashtext('onelane.outbox'))")
        handle = save(client, 2, receiver.url("ann"))
        handle.wait(20)
    assert outbox(settings) == [("reply", SAVED)]
    assert receiver.asked == []
    receiver.hanging = {"ann"}
    with running_worker(settings, log):
        until(lambda: receiver.asked)
    assert outbox(settings) == []
    assert receiver.taken["ann"] == []
    receiver.hanging = set()
    end_leases(client, settings)
    with running_worker(settings, log):
        until(lambda: receiver.taken["ann"])
        save(client, 3, receiver.url("ann")).wait(20)
        until(lambda: len(receiver.taken["ann"]) == 2)
    assert receiver.taken["ann"] == [SAVED + AGAIN, SAVED]
    assert len(receiver.asked) == 3


def outbox(settings: Settings) -> list[tuple[str, str]]:
    """What waits in the outbox."""
    with psycopg.connect(settings.require_database()) as connection:
        return connection.execute("SELECT topic, payload ->> 'text' FROM onelane.outbox ORDER BY id").fetchall()


def test_the_command_line_takes_a_url_for_one_job_and_in_the_lines_of_a_file(
    settings: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    onelane = Onelane(tmp_path, **{n: v for n, v in environment(settings).items() if n.startswith("ONELANE_")})
    with running_worker(settings, tmp_path / "log"):
        options = ("number=1", "--actor", ACTOR, "--wait", "20", "--reply-to", receiver.url("ann"))
        assert onelane("enqueue", "number.save", *options).code == 0
        lines = [
            {"kind": "number.save", "payload": {"number": 2}, "actor": ACTOR, "reply_to": receiver.url("bob")},
            {"kind": "number.save", "payload": {"number": 3}, "actor": ACTOR, "reply_to": "http://example.com/secret"},
        ]
        done = onelane("enqueue", "--file", "-", "--json", stdin="\n".join(map(json.dumps, lines)))
        error = "reply_to: expected an https:// URL of at most 500 characters (http:// on this machine only)"
        assert done.json["refused"] == [{"line": 2, "error": error}]
        assert (done.code, done.json["enqueued"]) == (1, 1)
        until(lambda: receiver.taken["ann"] and receiver.taken["bob"])
    refused = onelane("enqueue", "number.save", "number=1", "--actor", ACTOR, "--reply-to", "secret")
    assert (refused.code, refused.err) == (1, f"{error}\n")
    assert receiver.taken == {"ann": [SAVED], "bob": [SAVED]}

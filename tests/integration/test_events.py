"""Events: what a Celery monitor, such as Flower, hears of jobs; on a real broker, through Celery's own receiver."""

import ast
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, ClassVar

import psycopg
import pytest
from celery import Celery
from kombu import Consumer
from redis import Redis

from tests.integration.kinds import OnPage, Write
from tests.integration.notebook import Notebook
from worker.entry import End, Entry
from worker.envelope import Envelope
from worker.events import Events
from worker.mask import Mask
from worker.verdict import Failure, Fault


def entry(job_id: str, payload: Any = None) -> Entry:
    """A job on its second attempt."""
    payload = payload or {"text": "x", "on": [1, None]}
    return Entry(b"", Envelope(1, job_id, "line.add", "page:1", "U0A", None, 1, "d", payload), None, None, 2, 1)


FAILURE = Failure(Fault.PERMANENT, "DataError", "22001", "'Ann Example' is too long", "names_are_short")


def heard_of(redis_url: str, tell: Callable[[Celery], object], count: int) -> list[dict[str, Any]]:
    """The events that a monitor hears while `tell` sends them."""
    app = Celery("test", broker=redis_url.replace("unix://", "redis+socket://"), set_as_current=False)
    heard: list[dict[str, Any]] = []
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": heard.append})
        receive = {"queues": [receiver.queue], "callbacks": [receiver._receive], "no_ack": True, "accept": ["json"]}
        with Consumer(connection.default_channel, **receive):
            connection.drain_events(timeout=10)  # the subscription is confirmed
            tell(app)
            while len(heard) < count:
                connection.drain_events(timeout=10)
    return heard


def test_a_monitor_hears_of_each_job_as_of_a_task(redis_url: str) -> None:
    """Received with its kind and lane, started, and ended with its outcome or error; a cancelled one never started."""
    done, dead, late, off = (uuid.uuid4().hex for _ in range(4))

    def tell(app: Celery) -> None:
        with closing(Events(app, "worker@host", drain="the-drain")) as events:
            events.ended([(entry(done), End("applied", "added", "Added."))], 0.5)
            events.ended([(entry(dead), End("dead", "permanent", "Told.", failure=FAILURE, traceback="where"))], 0.5)
            events.retried(entry(late), Failure(Fault.TRANSIENT, "LockNotAvailable", "55P03", "locked"), "where")
            events.ended([(entry(off), End("cancelled", "cancelled", "No."))], 0.5)

    heard = heard_of(redis_url, tell, 11)
    assert [(event["type"], event["uuid"]) for event in heard] == [
        *((f"task-{what}", done) for what in ("received", "started", "succeeded")),
        *((f"task-{what}", dead) for what in ("received", "started", "failed")),
        *((f"task-{what}", late) for what in ("received", "started", "retried")),
        *((f"task-{what}", off) for what in ("received", "revoked")),
    ]
    received, _, succeeded, _, _, failed, _, _, retried, _, revoked = heard
    assert received["name"] == "line.add"
    assert (
        received["kwargs"]
        == "{'lane': 'page:1', 'actor': 'U0A', 'attempt': 2, 'payload': {'text': 'x', 'on': [1, None]}}"
    )
    assert (received["retries"], received["parent_id"], received["hostname"]) == (1, "the-drain", "worker@host")
    assert (succeeded["result"], succeeded["runtime"]) == ("applied: added", 0.5)
    assert (failed["exception"], failed["traceback"]) == ("DataError: 'Ann Example' is too long", "where")
    assert (failed["result"], failed["runtime"]) == ("dead: permanent", 0.5)
    assert (retried["exception"], retried["traceback"]) == ("LockNotAvailable: locked", "where")
    assert (revoked["result"], revoked["terminated"]) == ("cancelled: cancelled", False)


def test_under_a_mask_a_monitor_reads_pseudonyms_and_no_text_of_an_error(redis_url: str) -> None:
    """The same text has the same pseudonym wherever it stands; another key gives others."""
    mask = Mask("a secret of our own")
    job = entry("j", {"text": "Ann Example", "who": ["1", {"n": 7, "none": None}], "done": True})

    def tell(app: Celery) -> None:
        with closing(Events(app, "worker@host", mask, drain="the-drain")) as events:
            events.ended([(job, End("dead", "permanent", "Told.", failure=FAILURE, traceback="Ann"))], 0.5)
            events.retried(job, FAILURE, "Ann")

    heard = heard_of(redis_url, tell, 6)
    ann, one, actor = mask.text("Ann Example"), mask.text("1"), mask.text("U0A")
    assert ast.literal_eval(heard[0]["kwargs"]) == {
        "lane": f"page:{one}",
        "actor": actor,
        "attempt": 2,
        "payload": {"text": ann, "who": [one, {"n": 7, "none": None}], "done": True},
    }
    for failed in (heard[2], heard[5]):
        assert failed["exception"] == "DataError (22001, names_are_short): `onelane job j` says more"
        assert "traceback" not in failed
    assert not [word for word in ("Ann", "U0A", "page:1") if word in str(heard)]
    assert re.fullmatch("~[0-9a-f]{12}", ann)
    assert Mask("another secret of ours").text("Ann Example") != ann


def test_a_monitor_in_another_time_zone_reads_the_same_times(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def live_in(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    def tell(app: Celery) -> None:
        live_in("Asia/Tokyo")
        with closing(Events(app, "worker@tokyo")) as events:
            events.ended([(entry(uuid.uuid4().hex), End("applied", "added", "Added."))], 0.5)
        live_in("America/Los_Angeles")

    try:
        heard = heard_of(redis_url, tell, 3)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [event["timestamp"] for event in heard] == [pytest.approx(time.time(), abs=60)] * 3


def test_a_batch_of_many_jobs_is_told_in_order(redis_url: str) -> None:
    jobs = [entry(f"job-{n}") for n in range(700)]

    def tell(app: Celery) -> None:
        with closing(Events(app, "worker@host")) as events:
            events.ended([(job, End("applied", "added", "Added.")) for job in jobs], 7.0)

    heard = heard_of(redis_url, tell, 2100)
    assert [event["uuid"] for event in heard] == [f"job-{n // 3}" for n in range(2100)]
    assert {event["runtime"] for event in heard if event["type"] == "task-succeeded"} == {0.01}


def test_the_events_of_a_batch_are_a_small_message_for_redis(redis_url: str) -> None:
    """Uncompressed it is more than 500 bytes a job."""
    jobs = [entry(uuid.uuid4().hex) for _ in range(100)]
    app = Celery("test", broker=redis_url.replace("unix://", "redis+socket://"), set_as_current=False)
    with Redis.from_url(redis_url) as redis, redis.pubsub() as pubsub, closing(Events(app, "worker@host")) as events:
        pubsub.psubscribe("*celeryev*")
        assert pubsub.get_message(timeout=10) is not None  # the subscription is confirmed
        events.ended([(job, End("applied", "added", "Added.")) for job in jobs], 1.0)
        message = pubsub.get_message(timeout=10)
    assert message is not None
    assert 0 < len(message["data"]) < 100 * 100


def test_a_monitor_hears_of_a_batch_while_the_next_one_is_at_work(notebook: Notebook, redis_url: str) -> None:
    notebook.enqueue(Write(page="q", text="before"))
    notebook.drain_all()
    first, _ = notebook.enqueue(Write(page="p", text="done"), Write(page="q", text="waits"))
    worker = notebook.worker(claim_jobs=1, claim_lanes=1, lock_timeout_ms=60_000, statement_timeout_ms=60_000)
    with psycopg.connect(notebook.settings.require_database()) as other:
        other.execute("SELECT FROM pages WHERE page = 'q' FOR UPDATE")
        drain = threading.Thread(target=worker.drain)
        heard = heard_of(redis_url, lambda _: drain.start(), 3)
        assert [(event["type"], event["uuid"]) for event in heard] == [
            (f"task-{what}", first.id) for what in ("received", "started", "succeeded")
        ]
        assert notebook.ends() == [("applied", "written")] * 2
    drain.join()
    assert notebook.lines("q") == ["before", "waits"]


class Ponder(OnPage, kind="notebook.ponder"):
    """Waits in its own code until it may go on."""

    go_on: ClassVar = threading.Event()
    messages: ClassVar = {"pondered": "{page} was pondered."}

    @staticmethod
    def apply(_connection: psycopg.Connection, jobs: list[dict[str, Any]], _context: dict[str, Any]) -> Iterable[Any]:
        """Answer when the test says so."""
        assert Ponder.go_on.wait(60)
        return [(job["_n"], "applied", "pondered", None, None, None) for job in jobs]


def test_a_monitor_hears_of_a_batch_before_a_kinds_own_code_begins(notebook: Notebook, redis_url: str) -> None:
    first, second = notebook.enqueue(Write(page="p", text="done"), Ponder(page="q"))
    worker = notebook.worker(claim_jobs=1, claim_lanes=1)
    drain = threading.Thread(target=worker.drain)
    try:
        heard = heard_of(redis_url, lambda _: drain.start(), 3)
        assert [event["uuid"] for event in heard] == [first.id] * 3
        assert notebook.ends() == [("applied", "written")]
    finally:
        Ponder.go_on.set()
        drain.join()
    assert second.wait(1).code == "pondered"


def test_events_that_are_sent_later_tell_the_time_of_the_end(redis_url: str) -> None:
    def tell(app: Celery) -> None:
        with closing(Events(app, "worker@host")) as events:
            events.ended([(entry(uuid.uuid4().hex), End("applied", "added", "Added."))], 0.5, 1_700_000_000.25)

    assert [event["timestamp"] for event in heard_of(redis_url, tell, 3)] == [1_700_000_000.25] * 3


def test_an_id_of_any_text_is_heard_as_it_is(redis_url: str) -> None:
    odd = 'a "quoted" \\ line\nwith ünïcode \x1f\U0001f600'

    def tell(app: Celery) -> None:
        with closing(Events(app, odd, drain=odd)) as events:
            events.ended([(entry(odd, {odd: odd}), End("applied", odd, "Added."))], 0.5)

    received, started, succeeded = heard_of(redis_url, tell, 3)
    assert [each["uuid"] for each in (received, started, succeeded)] == [odd] * 3
    assert [each["hostname"] for each in (received, started, succeeded)] == [odd] * 3
    assert ast.literal_eval(received["kwargs"])["payload"] == {odd: odd}
    assert (received["parent_id"], succeeded["result"]) == (odd, f"applied: {odd}")


def test_a_broker_that_is_away_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        app = Celery("test", broker=f"redis://127.0.0.1:{nobody.getsockname()[1]}", set_as_current=False)
        with closing(Events(app, "worker@host")) as events:
            began = time.monotonic()
            events.ended([(entry("a"), End("applied", "added", "Added."))], 0.5)
            assert time.monotonic() - began < 2
    assert [record.message for record in caplog.records if record.name == "worker.events"] == [
        "Events could not be sent (OperationalError); monitors miss 3 of them."
    ]

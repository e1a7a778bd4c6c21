"""Events: what a Celery monitor, such as Flower, hears of jobs; on a real broker, through Celery's own receiver."""

import uuid
from typing import Any

from celery import Celery
from kombu import Consumer

from worker.entry import End, Entry
from worker.envelope import Envelope
from worker.events import Events
from worker.verdict import Failure, Fault


def entry(job_id: str) -> Entry:
    """A job on its second attempt."""
    return Entry(b"", Envelope(1, job_id, "line.add", "page:1", "U0A", None, 1, "d", {"text": "x"}), None, None, 2, 1)


def test_a_monitor_hears_of_each_job_as_of_a_task(redis_url: str) -> None:
    """Received with its kind and lane, started, and succeeded with its outcome, failed or retried with its error."""
    app = Celery("test", broker=redis_url.replace("unix://", "redis+socket://"), set_as_current=False)
    done, dead, late = (uuid.uuid4().hex for _ in range(3))
    heard: list[dict[str, Any]] = []
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": heard.append})
        receive = {"queues": [receiver.queue], "callbacks": [receiver._receive], "no_ack": True, "accept": ["json"]}
        with Consumer(connection.default_channel, **receive):
            connection.drain_events(timeout=10)  # the subscription is confirmed
            events = Events(app, "worker@host", "the-drain")
            failure = Failure(Fault.PERMANENT, "DataError", "22001", "too long")
            events.ended([(entry(done), End("applied", "added", "Added."))], 0.5)
            events.ended([(entry(dead), End("dead", "permanent", "Told.", failure=failure, traceback="where"))], 0.5)
            events.retried(entry(late), "LockNotAvailable: locked", "where")
            while len(heard) < 9:
                connection.drain_events(timeout=10)
    assert [(event["type"], event["uuid"]) for event in heard] == [
        (f"task-{what}", job) for job, end in ((done, "succeeded"), (dead, "failed"), (late, "retried"))
        for what in ("received", "started", end)
    ]  # fmt: skip
    received, _, succeeded, _, _, failed, _, _, retried = heard
    assert received["name"] == "line.add"
    assert "'lane': 'page:1'" in received["kwargs"]
    assert (received["retries"], received["parent_id"], received["hostname"]) == (1, "the-drain", "worker@host")
    assert (succeeded["result"], succeeded["runtime"]) == ("applied: added", 0.5)
    assert (failed["exception"], failed["traceback"]) == ("DataError: too long", "where")
    assert retried["exception"] == "LockNotAvailable: locked"

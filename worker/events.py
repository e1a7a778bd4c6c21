"""Celery's own task events, sent for each job, so that Flower shows jobs as if they were tasks.

All events of a batch go out as one message (Celery's receivers take a list as well). It is compressed, those of ten
jobs to a tenth: kombu would take longer to wrap what that saves, and Redis cuts off a monitor that lags behind less
soon. Events are for watching only: one that is lost or can't be sent changes nothing for a job, so sending never
raises.
"""

import logging
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.events.dispatcher import EventDispatcher
from pydantic_core import to_json

from worker.entry import End, Entry
from worker.mask import Mask
from worker.verdict import Failure

REVOKED = {"terminated": False, "signum": None, "expired": False}
PACKED_AS = "application/x-gzip"
"""What kombu calls zlib's format; all who receive by kombu can read it."""

log = logging.getLogger(__name__)


class Events:
    """Tells Celery's monitors what happens to jobs; one for a worker process, whose drains take turns. Under a `mask`
    they read pseudonyms.
    """

    def __init__(self, app: Celery, hostname: str, mask: Mask | None = None, drain: str = "") -> None:
        self._app, self._mask = app, mask
        self._hostname = hostname
        self._dispatcher: EventDispatcher | None = None
        self.drain = drain
        """The drain that the jobs are shown under."""

    def ended(self, pairs: Sequence[tuple[Entry, End]], seconds: float) -> None:
        """Jobs have ended; `seconds` is what their batch took together.

        A rejected job has succeeded, as a task: its answer is no. A cancelled one is revoked, and never started.
        """
        each, now = seconds / max(1, len(pairs)), time.time()
        events: list[dict[str, Any]] = []
        for entry, end in pairs:
            events.append(self._received(entry, now))
            said = f"{end.status}: {end.code}"
            if end.status == "cancelled":
                events.append(self._event("task-revoked", entry, now) | {"result": said} | REVOKED)
                continue
            events.append(self._event("task-started", entry, now))
            ended = self._event("task-succeeded" if end.failure is None else "task-failed", entry, now)
            ended["result"], ended["runtime"] = said, each
            if end.failure is not None:
                ended |= self._failed(entry, end.failure, end.traceback)
            events.append(ended)
        self._send(events)

    def retried(self, entry: Entry, failure: Failure, traceback: str | None) -> None:
        """A job failed and will be tried again."""
        now = time.time()
        retried = self._event("task-retried", entry, now) | self._failed(entry, failure, traceback)
        self._send([self._received(entry, now), self._event("task-started", entry, now), retried])

    def _event(self, what: str, entry: Entry, now: float) -> dict[str, Any]:
        return {"type": what, "uuid": entry.envelope.id, "timestamp": now, "hostname": self._hostname}

    def _received(self, entry: Entry, now: float) -> dict[str, Any]:
        e, mask = entry.envelope, self._mask
        lane, actor, payload = e.lane, e.actor, e.payload
        if mask is not None:
            lane, actor, payload = mask.lane(lane), mask.text(actor), mask.payload(payload)
        return {
            "type": "task-received",
            "uuid": e.id,
            "timestamp": now,
            "hostname": self._hostname,
            "name": e.kind,
            "args": "()",
            "kwargs": f"{{'lane': {lane!r}, 'actor': {actor!r}, 'attempt': {entry.attempts}, 'payload': {payload!r}}}",
            "retries": max(0, entry.attempts - 1),
            "root_id": self.drain,
            "parent_id": self.drain,
        }

    def _failed(self, entry: Entry, failure: Failure, traceback: str | None) -> dict[str, Any]:
        if self._mask is not None:
            return {"exception": self._mask.error(failure, entry.envelope.id)}
        return {"exception": f"{failure.error_class}: {failure.message}", "traceback": traceback}

    def _send(self, events: list[dict[str, Any]]) -> None:
        if not events:
            return
        try:
            if self._dispatcher is None:
                # Lanes wait meanwhile, so nobody waits for a broker that is away.
                connection = self._app.connection_for_write(transport_options={"max_retries": 0})
                self._dispatcher = self._app.events.Dispatcher(connection, enabled=True)
            self._dispatcher.producer.publish(
                _packed(events),
                content_type="application/json",
                content_encoding="utf-8",
                routing_key="task.multi",
                exchange=self._dispatcher.exchange.name,
                declare=[self._dispatcher.exchange],  # else kombu takes it for a direct one, and nobody hears of it
                retry=False,
                delivery_mode=1,
                headers={"hostname": self._hostname, "compression": PACKED_AS},
            )
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, watching must not harm a job
            log.warning("Events could not be sent (%s); monitors miss %d of them.", type(error).__name__, len(events))
            self.close()

    def close(self) -> None:
        """Give up the connection; the next events make another."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            with suppress(Exception):  # as above
                dispatcher.connection.release()


def _packed(events: list[dict[str, Any]]) -> bytes:
    """Events as JSON, compressed. What is alike in events stands close together: a small window finds it, and costs a
    message with a single job a quarter of zlib's usual one.
    """
    packer = zlib.compressobj(level=1, wbits=14, memLevel=7)
    return packer.compress(to_json(events)) + packer.flush()

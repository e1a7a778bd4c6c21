"""Celery's own task events, sent for each job, so that Flower shows jobs as if they were tasks.

All events of a batch go out as one message (Celery's receivers take a list as well). Events are for watching only: one
that is lost or can't be sent changes nothing for a job, so sending never raises.
"""

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.events.dispatcher import EventDispatcher
from pydantic_core import to_json

from worker.entry import End, Entry

log = logging.getLogger(__name__)


class Events:
    """Tells Celery's monitors what happens to jobs; one for a worker process, whose drains take turns."""

    def __init__(self, app: Celery, hostname: str, drain: str = "") -> None:
        self._app = app
        self._common = {"hostname": hostname, "pid": os.getpid(), "utcoffset": time.timezone // 3600}
        self._dispatcher: EventDispatcher | None = None
        self.drain = drain
        """The drain that the jobs are shown under."""

    def ended(self, pairs: Sequence[tuple[Entry, End]], seconds: float) -> None:
        """Jobs have ended; `seconds` is what their batch took together."""
        each = seconds / max(1, len(pairs))
        events: list[dict[str, Any]] = []
        for entry, end in pairs:
            events += self._begun(entry)
            if end.failure is not None:
                error = f"{end.failure.error_class}: {end.failure.message}"
                result: dict[str, Any] = {"type": "task-failed", "exception": error, "traceback": end.traceback}
            else:
                result = {"type": "task-succeeded", "result": f"{end.status}: {end.code}", "runtime": each}
            events.append({"uuid": entry.envelope.id, **result})
        self._send(events)

    def retried(self, entry: Entry, error: str, traceback: str | None) -> None:
        """A job failed and will be tried again."""
        retried = {"type": "task-retried", "uuid": entry.envelope.id, "exception": error, "traceback": traceback}
        self._send([*self._begun(entry), retried])

    def _begun(self, entry: Entry) -> tuple[dict[str, Any], dict[str, Any]]:
        e = entry.envelope
        received = {
            "type": "task-received",
            "uuid": e.id,
            "name": e.kind,
            "args": "()",
            "kwargs": repr({"lane": e.lane, "actor": e.actor, "attempt": entry.attempts, "payload": e.payload}),
            "retries": entry.attempts - 1,
            "root_id": self.drain,
            "parent_id": self.drain,
        }
        return received, {"type": "task-started", "uuid": e.id}

    def _send(self, events: list[dict[str, Any]]) -> None:
        """Send events, each with the fields that all have in common."""
        if not events:
            return
        common = to_json({"timestamp": time.time(), "clock": self._app.clock.forward(), **self._common})
        rest = b"," + common[1:]
        body = b"[%s]" % b",".join([to_json(event)[:-1] + rest for event in events])
        try:
            if self._dispatcher is None:
                self._dispatcher = self._app.events.Dispatcher(self._app.connection_for_write(), enabled=True)
            self._dispatcher.producer.publish(
                body.decode(),
                content_type="application/json",
                content_encoding="utf-8",
                routing_key="task.multi",
                exchange=self._dispatcher.exchange.name,
                declare=[self._dispatcher.exchange],  # else kombu takes it for a direct one, and nobody hears of it
                retry=False,
                delivery_mode=1,
                headers={"hostname": self._common["hostname"]},
            )
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, watching must not harm a job
            log.warning("Events could not be sent (%s); monitors miss %d of them.", type(error).__name__, len(events))
            self._dispatcher = None

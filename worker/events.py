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

from worker.entry import End, Entry

log = logging.getLogger(__name__)


class Events:
    """Tells Celery's monitors what happens to jobs under one drain."""

    def __init__(self, app: Celery, hostname: str, drain: str) -> None:
        self._app, self._drain = app, drain
        self._common = {"hostname": hostname, "pid": os.getpid(), "utcoffset": time.timezone // 3600}
        self._dispatcher: EventDispatcher | None = None

    def ended(self, pairs: Sequence[tuple[Entry, End]], seconds: float) -> None:
        """Jobs have ended; `seconds` is what their batch took together."""
        each = seconds / max(1, len(pairs))
        events = []
        for entry, end in pairs:
            events += self._begun(entry)
            if end.failure is not None:
                error = f"{end.failure.error_class}: {end.failure.message}"
                events.append(self._event("failed", entry, exception=error, traceback=end.traceback))
            else:
                events.append(self._event("succeeded", entry, result=f"{end.status}: {end.code}", runtime=each))
        self._send(events)

    def retried(self, entry: Entry, error: str, traceback: str | None) -> None:
        """A job failed and will be tried again."""
        self._send([*self._begun(entry), self._event("retried", entry, exception=error, traceback=traceback)])

    def _begun(self, entry: Entry) -> list[dict[str, Any]]:
        e = entry.envelope
        shown = {"lane": e.lane, "actor": e.actor, "attempt": entry.attempts, "payload": e.payload}
        received = self._event(
            "received",
            entry,
            name=e.kind,
            args="()",
            kwargs=repr(shown),
            retries=entry.attempts - 1,
            eta=None,
            expires=None,
            root_id=self._drain,
            parent_id=self._drain,
        )
        return [received, self._event("started", entry)]

    def _event(self, what: str, entry: Entry, **fields: Any) -> dict[str, Any]:
        clock = self._app.clock.forward()
        return {
            "type": f"task-{what}",
            "uuid": entry.envelope.id,
            "timestamp": time.time(),
            "clock": clock,
            **self._common,
            **fields,
        }

    def _send(self, events: list[dict[str, Any]]) -> None:
        try:
            if self._dispatcher is None:
                self._dispatcher = self._app.events.Dispatcher(self._app.connection_for_write(), enabled=True)
            self._dispatcher.producer.publish(
                events,
                routing_key="task.multi",
                exchange=self._dispatcher.exchange.name,
                retry=False,
                serializer="json",
                delivery_mode=1,
                headers={"hostname": self._common["hostname"]},
            )
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, watching must not harm a job
            log.warning("Events could not be sent (%s); monitors miss %d of them.", type(error).__name__, len(events))
            self._dispatcher = None

"""Celery's own task events, sent for each job, so that Flower shows jobs as if they were tasks.

All events of a batch go out as one message (Celery's receivers take a list as well). It is compressed, those of ten
jobs to a tenth: kombu would take longer to wrap what that saves, and Redis cuts off a monitor that lags behind less
soon. They are written as text: dicts that are then turned into JSON take half as much CPU again. Events are for
watching only: one that is lost or can't be sent changes nothing for a job, so sending never raises.
"""

import logging
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from json.encoder import encode_basestring as _text

from celery import Celery
from celery.events.dispatcher import EventDispatcher

from worker.entry import End, Entry
from worker.mask import Mask
from worker.verdict import Failure

REVOKED = '"terminated":false,"signum":null,"expired":false'
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

    def ended(self, pairs: Sequence[tuple[Entry, End]], seconds: float, at: float | None = None) -> None:
        """Jobs have ended; `seconds` is what their batch took together, `at` when that was, if not now (s since 1970).

        A rejected job has succeeded, as a task: its answer is no. A cancelled one is revoked, and never started.
        """
        common, parents, runtime = self._common(at), self._parents(), f"{seconds / max(1, len(pairs))}"
        events: list[str] = []
        for entry, end in pairs:
            job = f'"uuid":{_text(entry.envelope.id)},{common}'
            ended = f'{job},"result":{_text(f"{end.status}: {end.code}")}'
            events.append(f'{{"type":"task-received",{job},{self._task(entry)},{parents}}}')
            if end.status == "cancelled":
                events.append(f'{{"type":"task-revoked",{ended},{REVOKED}}}')
                continue
            events.append(f'{{"type":"task-started",{job}}}')
            if end.failure is None:
                events.append(f'{{"type":"task-succeeded",{ended},"runtime":{runtime}}}')
            else:
                failed = self._failed(entry, end.failure, end.traceback)
                events.append(f'{{"type":"task-failed",{ended},"runtime":{runtime},{failed}}}')
        self._send(events)

    def retried(self, entry: Entry, failure: Failure, traceback: str | None) -> None:
        """A job failed and will be tried again."""
        job = f'"uuid":{_text(entry.envelope.id)},{self._common()}'
        self._send(
            [
                f'{{"type":"task-received",{job},{self._task(entry)},{self._parents()}}}',
                f'{{"type":"task-started",{job}}}',
                f'{{"type":"task-retried",{job},{self._failed(entry, failure, traceback)}}}',
            ]
        )

    def _common(self, at: float | None = None) -> str:
        return f'"timestamp":{at or time.time()},"hostname":{_text(self._hostname)}'

    def _parents(self) -> str:
        return f'"root_id":{_text(self.drain)},"parent_id":{_text(self.drain)}'

    def _task(self, entry: Entry) -> str:
        e, mask = entry.envelope, self._mask
        lane, actor, payload = e.lane, e.actor, e.payload
        if mask is not None:
            lane, actor, payload = mask.lane(lane), mask.text(actor), mask.payload(payload)
        kwargs = f"{{'lane': {lane!r}, 'actor': {actor!r}, 'attempt': {entry.attempts}, 'payload': {payload!r}}}"
        retries = max(0, entry.attempts - 1)
        return f'"name":{_text(e.kind)},"args":"()","kwargs":{_text(kwargs)},"retries":{retries}'

    def _failed(self, entry: Entry, failure: Failure, traceback: str | None) -> str:
        if self._mask is not None:
            return f'"exception":{_text(self._mask.error(failure, entry.envelope.id))}'
        where = "null" if traceback is None else _text(traceback)
        return f'"exception":{_text(f"{failure.error_class}: {failure.message}")},"traceback":{where}'

    def _send(self, events: list[str]) -> None:
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


def _packed(events: list[str]) -> bytes:
    """Events, compressed. What is alike in events stands close together: a small window finds it, and costs a message
    with a single job a quarter of zlib's usual one.
    """
    packer = zlib.compressobj(level=1, wbits=14, memLevel=7)
    return packer.compress(f"[{','.join(events)}]".encode()) + packer.flush()

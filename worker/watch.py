"""The watch: each worker's timer, which rings for what nobody has been called for.

Once a second it asks Redis whether a lane's backoff or lease has ended, or a bell was lost. And it listens to
PostgreSQL for what came into the outbox with somebody else's transaction (worker/outbox.py), and looks there once a
second too: for what a killed worker did not deliver any more, and what had to stay because its lane was claimed.

It lives in a thread of the worker's main process, beside Celery's event loop, so that a slow service never delays
Celery's heartbeats; and as it only rings, it needs no care at a crash.
"""

import logging
import select
import threading
import time
from typing import Any

import psycopg
from celery import bootsteps
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from worker.bell import ring
from worker.database import connect
from worker.lane import Keys
from worker.query import query
from worker.redis_client import redis_client
from worker.replies import Replier
from worker.script import run
from worker.sentinel import Sentinel
from worker.settings import Settings

TICK_SECONDS = 1.0
LOOK_SECONDS = 10.0
"""How often the outbox is looked at without a notification: for what a relay left behind, and nobody has come since."""
PATIENCE_US = 1_000_000
"""A bell that nobody answered for this long, while no drain is at work, was lost."""

log = logging.getLogger(__name__)


class Watch:
    """Rings for due lanes and for the outbox, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._redis: Redis = redis_client(settings)
        self._listening: Connection | None = None
        self._connect_after = 0.0
        self._look_after = LOOK_SECONDS
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="onelane-watch", daemon=True)

    def start(self) -> None:
        """Begin watching."""
        self._thread.start()

    def stop(self) -> None:
        """End within two ticks."""
        self._stopped.set()
        self._thread.join(timeout=2 * TICK_SECONDS)

    def tick(self, *, outbox: bool) -> bool:
        """Ring if a drain is needed; whether it was. `outbox` says that something may wait there."""
        try:
            needed = bool(run(self._redis, self._keys, "due", int(outbox), PATIENCE_US))
        except RedisError:
            return False  # the bell needs Redis too; the next tick asks again
        if needed:
            ring(self._settings)
        return needed

    def _watch(self) -> None:
        outbox = False
        while not self._stopped.is_set():
            self.tick(outbox=outbox)
            outbox = self._listen()
        if self._listening is not None:
            self._listening.close()
        self._redis.close()

    def _listen(self) -> bool:
        """Wait for a tick, or for a notification; whether something may wait in the outbox."""
        try:
            if self._listening is None:
                return self._begin_listening()
            # Not notifies(timeout=…), which looks at the clock ten times a second.
            heard, _, _ = select.select([self._listening], [], [], TICK_SECONDS)
            if heard:
                return any(True for _ in self._listening.notifies(timeout=0))
            self._look_after -= TICK_SECONDS
            return self._look_after <= 0 and self._outbox_waits(self._listening)
        except psycopg.Error:
            self._listening = None
            self._connect_after = time.monotonic() + TICK_SECONDS
            return False

    def _begin_listening(self) -> bool:
        if time.monotonic() < self._connect_after or not self._settings.database_url:
            self._stopped.wait(TICK_SECONDS)
            return False
        connection = connect(self._settings, name="onelane-watch")
        connection.execute("LISTEN onelane_outbox")
        self._listening = connection
        return self._outbox_waits(connection)

    def _outbox_waits(self, connection: Connection) -> bool:
        self._look_after = LOOK_SECONDS
        waiting = connection.execute(query("outbox_waiting")).fetchone()
        return bool(waiting and waiting[0])


class WatchStep(bootsteps.StartStopStep):
    """Starts the watch, the sentinel and the replier in the main process of Celery's worker when its pool stands, and
    stops them before the pool.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.threads: list[Watch | Sentinel | Replier] = []

    def start(self, parent: Any) -> None:
        """Celery's worker has started."""
        settings = parent.app.onelane_settings
        self.threads = [Watch(settings), Sentinel(settings, parent.hostname), Replier(settings)]
        for thread in self.threads:
            thread.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Celery's worker ends."""
        while self.threads:
            self.threads.pop().stop()

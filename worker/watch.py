"""The watch: each worker's timer, which rings for what nobody has been called for.

Once a second it asks Redis whether a lane's backoff or lease has ended, or a bell was lost. And it listens to
PostgreSQL for what came into the outbox with somebody else's transaction (worker/outbox.py), and looks there each 10 s
too: for what a killed worker did not deliver any more, and what had to stay because its lane was claimed.

It lives in a thread of the worker's main process, beside Celery's event loop, so that a slow service never delays
Celery's heartbeats; and as it only rings, it needs no care at a crash.
"""

import logging
import select
import time
from typing import Any

import psycopg
from celery import bootsteps
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from worker.background import Background
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
        self._redis: Redis | None = None
        self._listening: Connection | None = None
        self._connect_after = 0.0
        self._look_after = LOOK_SECONDS
        self._outbox = False
        self._background = Background("onelane-watch", self._turn, self._disconnect)

    def start(self) -> None:
        """Begin watching."""
        self._background.start()

    def stop(self) -> None:
        """End within two ticks."""
        self._background.stop(2 * TICK_SECONDS)

    def tick(self, *, outbox: bool) -> bool:
        """Ring if a drain is needed; whether it was. `outbox` says that something may wait there."""
        try:
            if self._redis is None:
                self._redis = redis_client(self._settings, alone=True)
            needed = bool(run(self._redis, self._keys, "due", int(outbox), PATIENCE_US))
        except RedisError:
            return False  # the bell needs Redis too; the next tick asks again
        if needed:
            ring(self._settings)
        return needed

    def _turn(self) -> float:
        self.tick(outbox=self._outbox)
        self._outbox = False
        if self._listening is None and (time.monotonic() < self._connect_after or not self._settings.database_url):
            return TICK_SECONDS
        self._outbox = self._listen()
        return 0

    def _disconnect(self) -> None:
        self._stop_listening()
        if self._redis is not None:
            self._redis.close()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None

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
            self._stop_listening()
            self._connect_after = time.monotonic() + TICK_SECONDS
            return False

    def _begin_listening(self) -> bool:
        self._listening = connect(self._settings, name="onelane-watch")
        self._listening.execute("LISTEN onelane_outbox")
        return self._outbox_waits(self._listening)

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

"""The bell: a Celery message that says "something is ready", and nothing more.

Kombu's Redis transport can lose, repeat and reorder messages, so a message carries no job. A lost bell costs a second
(worker/watch.py rings again), a superfluous one an empty claim. So ringing never raises and never waits for long.

No process forks while it rings. Celery's main process forks its pool's processes, and a thread of ours rings in it;
kombu guards its lazy properties by locks of the whole module. A child forked while the thread held one would find it
locked for ever, and hang in its first event until Celery's time limit.
"""

import importlib
import logging
import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from worker.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

QUEUE = "onelane"
DRAIN = "onelane.drain"

log = logging.getLogger(__name__)

_ringing = threading.RLock()
os.register_at_fork(before=_ringing.acquire, after_in_parent=_ringing.release, after_in_child=_ringing.release)


def load() -> None:
    """Load what ringing takes, so that the first ring is as quick as the others."""
    importlib.import_module("celery.app")


@lru_cache(maxsize=8)
def ringer(broker: str, timeout_seconds: float) -> "Celery":
    """A Celery app that only sends: it never waits for a broker longer than the timeout, nor for one that refuses."""
    from celery import Celery  # noqa: PLC0415 - who only looks never rings

    app = Celery("onelane-bell", broker=broker, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_publish_retry=False,
        broker_connection_timeout=timeout_seconds,
        broker_transport_options={
            "socket_timeout": timeout_seconds,
            "socket_connect_timeout": timeout_seconds,
            "max_retries": 0,
        },
    )
    return app


def ring(settings: Settings) -> None:
    """Call a worker."""
    with _ringing:
        try:
            ringer(settings.broker, settings.redis_timeout_ms / 1000).send_task(DRAIN, queue=QUEUE, ignore_result=True)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the timer rings again
            log.warning("The bell could not be rung (%s); a worker's timer will.", type(error).__name__)

"""The Celery app: `celery -A worker.app worker` and `celery -A worker.app flower` work as any Celery user expects.

A worker runs one task, the drain. It is a prefork worker with one process: one job at a time, yet heartbeats, remote
control and time limits go on while it works. `acks_late` with a prefetch of one leaves a second bell to another worker.
"""

import gc
import logging
import sys
from functools import cache
from typing import Any

from billiard import pool
from celery import Celery, Task
from celery.signals import worker_process_shutdown
from redis import Redis

from worker import revoke
from worker.alerts import Alerts
from worker.bell import DRAIN, QUEUE
from worker.drain import Drain
from worker.errors import ConfigurationError
from worker.events import Events
from worker.job import load_kinds
from worker.lane import Keys
from worker.mask import Mask
from worker.redis_client import REDIS_AWAY, redis_client
from worker.session import Session
from worker.settings import Settings
from worker.watch import WatchStep

log = logging.getLogger(__name__)

try:
    settings = Settings.load()
    load_kinds(["worker.heartbeat", *settings.task_modules])
    broker = settings.broker
except ConfigurationError as error:
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2) from None  # Celery puts its usage and a traceback around any other error

app = Celery("onelane", broker=broker)
app.onelane_settings = settings
app.steps["worker"].add(WatchStep)
revoke.take_over()
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    task_time_limit=settings.task_time_limit_seconds,
    task_serializer="json",
    accept_content=["json"],
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    worker_hijack_root_logger=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "body_encoding": None,  # all our messages are JSON, so base64 would only make them larger
        "visibility_timeout": 2 * settings.task_time_limit_seconds,
        "socket_timeout": 30,
        "socket_connect_timeout": settings.connect_timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "unacked_mutex_expire": 10,
    },
)
# So often, each 0.1 s, does a process of the pool that shall end look whether its parent has read its last result. A
# parent that is asked to end just when a drain begins never does: Celery has discarded what was not acknowledged yet.
# With billiard's own 300 both take 30 s to end. Nobody needs the result of a drain.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20


class Workplace:
    """What one worker process keeps between its drains."""

    def __init__(self, hostname: str) -> None:
        self.hostname = hostname
        self.redis: Redis = redis_client(settings)
        self.alerts = Alerts(self.redis, Keys(settings.prefix))
        self.session = Session(settings, self.alerts, f"onelane {hostname}")
        self.events = Events(app, hostname, Mask(settings.mask_key) if settings.mask_key else None)
        worker_process_shutdown.connect(self.close, weak=False)
        # What is loaded by now stays; a batch makes some 100,000 objects, and few of them form cycles. Collecting as
        # often as Python does by default costs a sixth of a worker's CPU.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)

    def close(self, **_: Any) -> None:
        """End the session, so that PostgreSQL need not find out. Celery's pool ends its processes without `atexit`."""
        self.session.close()


@cache
def workplace(hostname: str) -> Workplace:
    """The process's own workplace, made at its first drain: after the fork, never shared."""
    return Workplace(hostname)


@app.task(bind=True, name=DRAIN)
def drain(self: Task) -> str:
    """Claim ready lanes, apply their jobs, acknowledge, until nothing is ready; answers with what was done."""
    here = workplace(self.request.hostname)
    here.events.drain = self.request.id
    name = f"{here.hostname}/{self.request.id}"  # whoever looks into a claimed lane reads whose claim it is
    work = Drain(settings, here.redis, here.session, here.alerts, here.events, here.hostname, name)
    try:
        work.run()
    except REDIS_AWAY as error:
        # No failure: a traceback of redis-py takes more than a pipe holds. Who was killed while he waited to write the
        # rest would leave Celery's main process waiting for it for ever, once it shuts down (billiard's Pool.join).
        log.warning("Redis is away (%s); the drain ends.", type(error).__name__)
        work.counts["outage"] += 1
    return ", ".join(f"{number} {what}" for what, number in sorted(work.counts.items())) or "nothing to do"

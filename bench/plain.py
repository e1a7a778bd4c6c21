"""The baseline of latency and idleness: plain Celery, as one would write it today.

One task for each job: the same upsert and audit, then a commit, over the process's one connection. Each person's jobs
go to one of two queues by a hash, each queue to one worker with one process, so that their order holds as far as
Celery's does.
"""

import os
import zlib
from functools import cache

import psycopg
from celery import Celery
from psycopg import Connection

from bench.people import ACTOR, SAVE_ONE

SAVE = "bench.save"
QUEUES = ("plain0", "plain1")

app = Celery("plain", broker=os.environ.get("BENCH_BROKER_URL"), set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    worker_concurrency=1,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
)


def queue_of(slack_id: str) -> str:
    """The queue of a person's jobs."""
    return QUEUES[zlib.crc32(slack_id.encode()) % len(QUEUES)]


@cache
def connection() -> Connection:
    """The process's connection, made at its first task."""
    return psycopg.connect(os.environ["BENCH_DATABASE_URL"], autocommit=True)


@app.task(name=SAVE)  # type: ignore[untyped-decorator]  # Celery ships no types
def save(slack_id: str, name: str) -> None:
    """Save one person."""
    with connection().transaction():
        connection().execute(SAVE_ONE, {"slack_id": slack_id, "name": name, "actor": ACTOR}, prepare=True)

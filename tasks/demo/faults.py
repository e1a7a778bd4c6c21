"""Faults: what the second half has to live through while it is at work."""

import time
from collections.abc import Callable
from typing import Any

from psycopg import Connection

from tasks.demo.crew import Worker
from tasks.demo.query import query
from tasks.demo.stage import connected
from worker import Client

LANES_HIT, LOCK_SECONDS = 3, 5.0
"""A table is locked until it has stopped so many lanes, and no longer than this."""
REST_SECONDS = 0.01
"""What a frozen worker had sent already has reached PostgreSQL by then."""
KILL_SECONDS = 10.0


def lock_a_table(database_url: str, client: Client) -> int:
    """Another session locks a table until some jobs gave up on it (55P03); how many lanes wait for their next try."""
    attempts = client.keys.named("attempts")
    waited_before = _length(client, attempts)
    with connected(database_url) as connection, connection.transaction():
        connection.execute("LOCK TABLE public.overrides IN ACCESS EXCLUSIVE MODE")
        _until(lambda: _length(client, attempts) >= waited_before + LANES_HIT, LOCK_SECONDS)
        return _length(client, attempts) - waited_before


def kill_in_a_transaction(worker: Worker, connection: Connection[Any]) -> bool:
    """SIGKILL a worker, its main process and its pool's child, in the middle of a batch: its transaction is open, and
    PostgreSQL waits for its next word. Whether it was caught so; if it can't be, it is killed where it stands.
    """

    def is_open() -> bool:
        row = connection.execute(query("open_transaction"), {"worker": f"onelane {worker.name}@%"}).fetchone()
        return bool(row and row[0])

    def caught() -> bool:
        if not is_open():
            return False
        worker.freeze()
        time.sleep(REST_SECONDS)
        if is_open():
            return True
        worker.thaw()
        return False

    was_caught = _until(caught, KILL_SECONDS)
    worker.kill()
    return was_caught


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look every ms whether it is so, for so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def _length(client: Client, key: str) -> int:
    found: Any = client.redis.hlen(key)
    return int(found)

"""The backlog: whether any job waits, be it in a lane, in the outbox or in this host's spool.

Jobs move between these places: between the commit of a job and their own lane, its follow-ups stand in the outbox. So
the lanes are looked at before and after the outbox; if the clock, which gives a number to each enqueue and each claim,
has not moved in between, no job can have slipped through.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from worker.database import connect
from worker.errors import OnelaneError
from worker.lane import Keys
from worker.lane_book import PAGE, LaneBook
from worker.query import query
from worker.settings import Settings
from worker.spool import Spool

POLL_SECONDS = 0.1
NAMES_SHOWN = 5


class StillWaiting(OnelaneError):
    """Jobs wait; the message says how many, and where."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The lanes at one moment: the clock, whether one goes on by itself, and the jobs in each held one."""

    clock: bytes | None
    goes_on: bool
    held: dict[str, int]


class Backlog:
    """Watches one partition, its database and this host's spool."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._settings, self._redis = settings, redis
        self._keys = Keys(settings.prefix)
        self._book = LaneBook(redis, self._keys)
        self._spool = Spool(settings.data_dir)
        self._connection: Connection | None = None

    def wait_until_empty(self, seconds: float) -> None:
        """Return when no job waits any more. A service that goes away meanwhile is waited for.

        Raises StillWaiting when the time is over, or when all that is left is held for longer; redis.RedisError or
        psycopg.OperationalError when a service is away at the end.
        """
        deadline = time.monotonic() + seconds
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        with closing(self):
            while True:
                is_last = time.monotonic() >= deadline
                try:
                    if (held := self._all_that_is_left(until)) is not None:
                        break
                    if is_last:
                        raise StillWaiting(f"After {seconds:g} s: {self._what_waits()}.")
                except (RedisError, psycopg.OperationalError):
                    self.close()
                    if is_last:
                        raise
                time.sleep(POLL_SECONDS)
        if held:
            names = ", ".join(sorted(held)[:NAMES_SHOWN]) + (", …" if len(held) > NAMES_SHOWN else "")
            raise StillWaiting(f"All that is left is held (jobs: {sum(held.values()):,}; lanes: {names}).")

    def close(self) -> None:
        """Leave the database."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _all_that_is_left(self, until: datetime) -> dict[str, int] | None:
        """The jobs in each lane that is held beyond `until`, when nothing else waits; None when something does."""
        before = self._standing(until)
        if before.goes_on or self._spool.waiting() or self._outbox_waits():
            return None
        after = self._standing(until)
        return after.held if not after.goes_on and after.clock == before.clock else None

    def _standing(self, until: datetime) -> Standing:
        named = self._keys.named
        holds = self._book.holds()
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.get(named("clock"))
            pipeline.hlen(named("pending"))
            pipeline.zcard(named("claimed"))
            pipeline.zrange(named("ready"), 0, PAGE)
            for lane in holds:
                pipeline.llen(self._keys.lane(lane))
            clock, jobs, claimed, ready, *lengths = pipeline.execute()
        held = {lane: length for lane, length in zip(holds, lengths, strict=True) if length}
        ends = any((end := holds[lane].until) is not None and end <= until for lane in held)
        unheld = any(lane.decode() not in holds for lane in ready)
        return Standing(clock, bool(claimed or unheld or ends or (jobs and not held)), held)

    def _outbox_waits(self) -> bool:
        if not self._settings.database_url:
            return False
        if self._connection is None:
            self._connection = connect(self._settings, name="onelane-lanes")
        found = self._connection.execute(query("outbox_waiting")).fetchone()
        return bool(found and found[0])

    def _what_waits(self) -> str:
        totals: Any = self._book.totals()
        if self._spool.waiting():
            return f"jobs wait in this host's spool ({self._spool.size():,} bytes), see `onelane spool status`"
        if not totals.jobs:
            return "jobs wait in the outbox, from where workers put them onto their lanes: do any run?"
        return (
            f"jobs waiting: {totals.jobs:,}; lanes: {totals.ready:,} ready, {totals.claimed:,} claimed by workers, "
            f"{totals.parked:,} parked, {totals.held:,} held"
        )

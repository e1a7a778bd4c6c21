"""Skip: a person takes the head off a lane that can't go on with it. It becomes a dead letter, which can be replayed.

The person acts in a worker's place. take.lua claims the lane under a token, even one that is held or parked; batch.py
records the dead letter behind the fence; acknowledge.py takes the job off and gives the lane back, still held if it
was. So a kill at any point leaves what a killed worker leaves, and no worker can be in the lane meanwhile. Monitors are
told in the name of a worker that lives: they take whoever tells of jobs for a worker, and one that sends no heartbeats
for a dead one.
"""

import socket
import time
import uuid
from contextlib import closing
from typing import Any

from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from worker.acknowledge import Park, Settled, acknowledge
from worker.alerts import Alerts
from worker.batch import apply
from worker.bell import ring, ringer
from worker.entry import End, Entry, cancelled, dead
from worker.errors import OnelaneError
from worker.events import Events
from worker.head import HeadMemory
from worker.lane import Keys, check_lane
from worker.lane_book import UnknownLane
from worker.mask import Mask
from worker.script import run
from worker.settings import Settings
from worker.verdict import Failure, Fault

POLL_SECONDS = 0.02


class LaneBusy(OnelaneError):
    """A worker had the lane all the time."""


class Skipper:
    """Takes heads off the lanes of one partition, for one person."""

    def __init__(self, redis: Redis, connection: Connection, settings: Settings, by: str) -> None:
        self._redis, self._connection, self._settings, self._by = redis, connection, settings, by
        self._keys = Keys(settings.prefix)

    def skip(self, lane: str, why: str, patience_seconds: float) -> tuple[Entry, End]:
        """Take the head off; which job it was, and its end: `cancelled` when it was marked so, `repeated` when it had
        come to one before.

        Raises UnknownLane; Refused (no lane's name); LaneBusy when workers have the lane for all of `patience_seconds`;
        psycopg.Error or redis.RedisError: then the lane is as it was, or the next claim takes the job off.
        """
        check_lane(lane)
        deadline = time.monotonic() + patience_seconds
        failure = Failure(Fault.PERMANENT, "Skipped", None, f"skipped by {self._by}: {why}")
        while True:
            taker = f"skip:{uuid.uuid4().hex}"
            token, head = self._take(lane, taker, deadline)
            note: Any = self._redis.hget(self._keys.named("cancelled"), head.envelope.id)
            end = dead("skipped", failure) if note is None else cancelled(note)
            settled = self._settle(lane, token, head.ended(end))
            if run(self._redis, self._keys, "leave", taker, grant=taker):
                ring(self._settings)
            if settled.ends:
                return settled.ends[0]

    def _take(self, lane: str, taker: str, deadline: float) -> tuple[int, Entry]:
        """The claim's token, and the head as it is; waits until no worker has the lane."""
        while True:
            args = (lane, self._settings.lease_ms * 1000)
            word, *taken = run(self._redis, self._keys, "take", *args, grant=taker)
            if word == b"absent":
                raise UnknownLane(lane)
            if word == b"claimed":
                _, token, _, memory, _, (job,) = taken
                remembered = HeadMemory.read(memory)
                first = remembered.first_attempt or time.time_ns() // 1000
                return int(token), Entry.read(lane, job, remembered.attempts, first)
            if time.monotonic() > deadline:
                raise LaneBusy(f"Workers had the lane {lane!r} all the time: hold it first, then skip its head.")
            time.sleep(POLL_SECONDS)

    def _settle(self, lane: str, token: int, head: Entry) -> Settled:
        """Record the head's end and give the lane back. PostgreSQL may know of newer claims than Redis, which then has
        lost its data: then nothing is recorded, and Redis' clock is put forward.
        """
        settled, newest = Settled(lane, then=Park(0)), 0
        began = time.monotonic()
        try:
            batch = apply(self._connection, token, self._by, {lane: [head]})
            newest = batch.newest_token
            if lane in batch.ends:
                settled = Settled(lane, batch.ends[lane])
        finally:
            seconds = time.monotonic() - began
            acknowledge(self._redis, self._keys, self._settings, token, [settled], seconds=seconds, clock_floor=newest)
        new = [pair for pair in settled.ends if not pair[1].repeated]
        self._tell_monitors(new, seconds)
        for entry, end in (pair for pair in new if pair[1].status == "dead"):
            told = f"{entry.envelope.kind} {entry.envelope.id} is a dead letter ({end.code})."
            Alerts(self._redis, self._keys).begin("dead", told, "onelane dead list")
        return settled

    def _tell_monitors(self, pairs: list[tuple[Entry, End]], seconds: float) -> None:
        try:
            living: Any = self._redis.zrevrange(self._keys.named("workers"), 0, 0)
        except RedisError:
            return  # the job has ended; this is for watching only
        worker = living[0].decode().partition("/")[0] if living else f"skip@{socket.gethostname()}"
        app = ringer(self._settings.broker, self._settings.redis_timeout_ms / 1000)
        mask = Mask(self._settings.mask_key) if self._settings.mask_key else None
        with closing(Events(app, worker, mask)) as events:
            events.ended(pairs, seconds)

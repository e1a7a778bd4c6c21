"""Interventions: what a person does to lanes and jobs while workers drain them.

Each is one script call, so it is durable, in force for the next claim of every worker, and safe whatever a drain does
at that moment. A batch that a worker has in hand ends first. To take the head off a lane is more: worker/skip.py.
"""

import time

from pydantic_core import to_json
from redis import Redis

from worker.alerts import Alerts
from worker.bell import ring
from worker.lane import Keys, check_lane
from worker.lane_book import UnknownLane
from worker.script import run
from worker.settings import Settings


class Interventions:
    """Acts on the lanes of one partition, for one person. Every method raises redis.RedisError."""

    def __init__(self, redis: Redis, settings: Settings, by: str) -> None:
        self._redis, self._settings, self._by = redis, settings, by
        self._keys = Keys(settings.prefix)

    def hold(self, lane: str, why: str, seconds: float | None) -> None:
        """Stop a lane, for so many seconds or until it is resumed. Raises UnknownLane, Refused (no lane's name)."""
        until = 0
        if seconds is not None:
            now, micros = self._redis.time()
            until = round((now + seconds) * 1_000_000 + micros)
        if run(self._redis, self._keys, "hold", check_lane(lane), until, self._note(why), lane=lane) == b"absent":
            raise UnknownLane(lane)
        told = f"The lane {lane} is held by {self._by}: {why}"
        Alerts(self._redis, self._keys).begin("held", told, "onelane lanes")

    def resume(self, lane: str) -> bool:
        """Let a held or parked lane go on at once; False when it was neither."""
        return self._call("resume", lane) == "resumed"

    def retry_now(self, lane: str) -> str:
        """Let a parked lane try again at once; the word of retry.lua. Raises UnknownLane."""
        word = self._call("retry", lane)
        if word == "absent":
            raise UnknownLane(lane)
        return word

    def cancel(self, job_id: str, why: str) -> bool:
        """Mark a waiting job: a worker records it as cancelled when its turn comes; False when none waits.

        The turn of a head that waits for its backoff is now.
        """
        word, must_ring = run(self._redis, self._keys, "cancel", job_id, self._note(why))
        if must_ring:
            ring(self._settings)
        return bool(word == b"marked")

    def _call(self, script: str, lane: str) -> str:
        word, must_ring = run(self._redis, self._keys, script, check_lane(lane), lane=lane)
        if must_ring:
            ring(self._settings)
        return str(word.decode())

    def _note(self, why: str) -> bytes:
        return to_json({"by": self._by, "why": why, "at": time.time()})

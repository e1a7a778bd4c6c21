"""Claim: a drain takes ready lanes, each with its next jobs, for the length of a lease.

The token is a growing number that proves the claim: PostgreSQL compares it before anything is written (batch.py), Redis
before anything is taken off a lane (acknowledge.py). The lease only decides how soon a dead worker's lanes are taken
back; a claim that outlives it does no harm.

Who found nothing sends the next claim ahead, behind a command that blocks until an enqueue calls. Redis serves both in
the turn of that enqueue, before it syncs its file: a job and its claim cost one sync. A worker that dies while it waits
takes its claim along with its connection; one that is paused leaves a lane under a lease, as if it had been paused a
moment later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redis import Redis

from worker.bell import ring
from worker.head import HeadMemory
from worker.lane import Keys
from worker.redis_client import block_seconds
from worker.script import Call, run, run_after_pop, run_all
from worker.settings import Settings

CLAIM_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClaimedLane:
    """A lane under a claim: its next jobs, and what is remembered of its head."""

    name: str
    jobs: list[bytes]
    attempts: int
    first_attempt: int | None
    """When the head failed first, µs."""
    crashes: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What a drain holds: lanes under one token."""

    token: int
    lanes: list[ClaimedLane]
    cancellations: int
    """How many jobs, anywhere, are marked as cancelled."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is ready; `wait_seconds` says how long nothing will become so by itself."""

    wait_seconds: float


class Claimer:
    """Claims for one drain. Each has a number, so a repeated call (a lost reply) gives the same claim again. `call` is
    how another drain is called when work stays behind.
    """

    def __init__(
        self, redis: Redis, keys: Keys, settings: Settings, drain: str, call: Callable[[Settings], None] = ring
    ) -> None:
        self._redis, self._keys, self._settings, self._drain, self._call = redis, keys, settings, drain, call
        self._number = 0

    def claim(self, wait_seconds: float = 0.0) -> Claim | Nothing:
        """Take what is ready, oldest first; also end any earlier claim number. With `wait_seconds`, as soon as an
        enqueue calls, or the time is over, or for as long as one command may take. Raises redis.RedisError.
        """
        call = self.next()
        if wait_seconds > 0:
            wake, seconds = self._keys.named("wake"), block_seconds(wait_seconds, self._settings)
            return self.read(run_after_pop(self._redis, self._keys, wake, seconds, call))
        return self.read(*run_all(self._redis, self._keys, [call]))

    def next(self) -> Call:
        """The call of the next claim, for who sends it along with others; `read` takes its answer."""
        s = self._settings
        self._number += 1
        times = (s.lease_ms * 1000, s.linger_ms * 1000, s.slice_ms * 1000)
        args = (self._drain, self._number, int(self._number == 1), s.claim_lanes, s.claim_jobs, CLAIM_BYTES, *times)
        return Call("claim", args, {"grant": self._drain})

    def read(self, answer: Any) -> Claim | Nothing:
        """What the script has answered; if work stays behind, another drain is called."""
        word, must_ring, *rest = answer
        if must_ring:
            self._call(self._settings)
        if word == b"empty":
            return Nothing(rest[0] / 1_000_000)
        token, cancellations, *fields = rest
        lanes = [_claimed_lane(*fields[i : i + 4]) for i in range(0, len(fields), 4)]
        return Claim(int(token), lanes, cancellations)

    def linger(self, wait_seconds: float) -> bool:
        """Wait until an enqueue calls, or the time is over, or for as long as one command may take; whether one called.

        Raises redis.RedisError.
        """
        seconds = block_seconds(wait_seconds, self._settings)
        return self._redis.blpop([self._keys.named("wake")], timeout=seconds) is not None

    def leave(self) -> None:
        """Nobody shall wait for this drain any more; if work stays behind, another one is called."""
        if run(self._redis, self._keys, "leave", self._drain, grant=self._drain):
            self._call(self._settings)


def _claimed_lane(name: bytes, memory: bytes, crashes: int, jobs: list[bytes]) -> ClaimedLane:
    head = HeadMemory.read(memory)
    return ClaimedLane(name.decode(), jobs, head.attempts, head.first_attempt, crashes)

"""A drive: a replay of many dead letters that goes step by step, and stops when it goes wrong.

Each step is a transaction of its own (replay.py), and is delivered at once instead of being left to the workers: they
drain meanwhile, and what live jobs leave in the outbox never queues up behind 100,000 replays. With a rate, a step is a
part of a second's share, and lasts that long at least: what one was late is never made up for. With a limit on
failures, a step is no larger than the failures that are left, and the next one begins when it has ended: so never more
than that many die again.
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.errors import LockNotAvailable
from redis import Redis
from redis.exceptions import RedisError

from worker.dead_letters.filter import Filter
from worker.dead_letters.replay import STEP, Replayed, ends_of, replay_steps
from worker.lane import Keys
from worker.query import query
from worker.relay import Relay
from worker.settings import Settings

STEPS_PER_SECOND = 4
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS = 0.02, 1.0
NOTICE_SECONDS = 0.1
FREE_SECONDS = 3.0
"""How long to wait at the end for claimed lanes to be free; longer than a batch takes."""

log = logging.getLogger(__name__)


@dataclass
class Drive:
    """A paced replay, and what has come of it so far."""

    settings: Settings
    connection: Connection
    redis: Redis
    rate: float | None = None
    """Dead letters a second."""
    stop_after_failures: int | None = None
    wait_seconds: float = 0
    """How long to wait for the ends of a step, or of all."""
    advance: Callable[[int], object] = lambda _: None
    """Hears how many more are done."""
    result: Replayed = field(default_factory=Replayed)
    ends: dict[str, str] = field(default_factory=dict)
    """The status of each replayed job that has ended again; `dead` is a failure."""
    stopped: str | None = None
    """Why it went no further."""
    _redis_is_away: bool = False
    _interrupted: bool = False

    def run(self, found: Filter, *, actor: str, reason: str | None, force: bool) -> None:
        """Replay what is found. Whatever ends it early, the rest is still dead, and found when it is run again."""
        steps = replay_steps(self.connection, found, actor=actor, reason=reason, force=force, size=self._size)
        self._take(steps)
        deadline = time.monotonic() + FREE_SECONDS
        while not (self._redis_is_away or self._interrupted) and self.undelivered() and time.monotonic() < deadline:
            self._pause(FIRST_POLL_SECONDS)
            self.deliver()
        if self.wait_seconds and self.stop_after_failures is None:
            self._await(self.result.replayed)

    def interrupt(self) -> None:
        """Stop behind the step that it is in, and wait for nothing. May be called by a signal's handler."""
        self.stopped, self._interrupted = "interrupted", True

    def _take(self, steps: Iterable[Replayed]) -> None:
        began = time.monotonic()
        for step in steps:
            self.result.add(step)
            self.deliver()
            self.advance(len(step.replayed) + len(step.refused))
            if self.stop_after_failures is not None:
                self._await(step.replayed)
            if self.rate is not None and self.stopped is None:
                self._pause(began + len(step.replayed) / self.rate - time.monotonic())
            if self.stopped is not None:
                return
            began = time.monotonic()

    def _pause(self, seconds: float) -> None:
        """Sleep, but notice an interruption soon."""
        end = time.monotonic() + seconds
        while not self._interrupted and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, NOTICE_SECONDS))

    def deliver(self) -> None:
        """Put what is on its way back into its lanes; what can't be now, a worker does later."""
        if self._redis_is_away:
            return
        with suppress(LockNotAvailable):  # another relay is at it
            try:
                Relay(self.redis, Keys(self.settings.prefix), self.settings).deliver(self.connection)
            except RedisError as error:
                self._redis_is_away = True
                log.warning("Redis is away (%s); workers will put them into their lanes.", type(error).__name__)

    def undelivered(self) -> int:
        """How many wait in the outbox: because their lanes are claimed, or Redis is away."""
        waiting = self.connection.execute(query("dead_undelivered"), prepare=False)
        return len({job_id for (job_id,) in waiting}.intersection(self.result.replayed))

    @property
    def failures(self) -> int:
        """How many died again."""
        return sum(status == "dead" for status in self.ends.values())

    def _size(self) -> int:
        size = STEP if self.rate is None else max(1, min(STEP, int(self.rate / STEPS_PER_SECOND)))
        return size if self.stop_after_failures is None else min(size, self.stop_after_failures - self.failures)

    def _await(self, ids: Iterable[str]) -> None:
        missing = set(ids)
        deadline, pause = time.monotonic() + self.wait_seconds, FIRST_POLL_SECONDS
        while missing and not self._interrupted:
            ends = ends_of(self.connection, missing)
            self.ends |= ends
            missing -= ends.keys()
            if missing and time.monotonic() > deadline:
                self.stopped = f"{len(missing):,} have not ended within {self.wait_seconds:g} s"
                return
            self._pause(pause if missing else 0)
            pause = min(2 * pause, LONGEST_POLL_SECONDS)
        if self.stop_after_failures is not None and self.failures >= self.stop_after_failures and not self._interrupted:
            self.stopped = f"{self.failures:,} died again"

"""The client: what a bot holds to enqueue jobs and to hear what became of them.

It is light: it loads neither Celery's worker side nor PostgreSQL. `enqueue` takes a few ms; while Redis is away it
writes to the spool instead, and does not try Redis again for a second, so that a bot is never blocked by an outage.
A Redis that is there, but refuses us (a wrong password), is no outage: no waiting would mend it, so it is an error.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from worker.bell import load, ring
from worker.enqueue import Order, enqueue, order, refusal
from worker.errors import NoOutcome, OnelaneError, Refused
from worker.job import Job
from worker.lane import Keys
from worker.outcome import Outcome
from worker.redis_client import REDIS_AWAY, block_seconds, misconfigured, redis_client
from worker.settings import Settings
from worker.spool import Spool

BREATHER_SECONDS = 1.0

State = Literal["queued", "duplicate", "spooled", "refused", "in_transaction"]
STATES: dict[str, State] = {"queued": "queued", "duplicate": "duplicate", "done": "duplicate", "spooled": "spooled"}


@dataclass(frozen=True, slots=True)
class Handle:
    """A job that was handed in: its id, where it is, and a way to wait for its outcome."""

    id: str
    lane: str
    state: State
    error: Refused | None = None
    _client: "Client | None" = field(default=None, repr=False, compare=False)

    def wait(self, timeout: float) -> Outcome:
        """The outcome, as soon as there is one; `timeout` in seconds.

        Raises the refusal of a refused job; NoOutcome when the time is over first; redis.RedisError.
        """
        if self.error is not None:
            raise self.error
        if self._client is None:
            raise OnelaneError("this handle was made without a client")
        return self._client.wait(self.id, timeout)


class Client:
    """Enqueues jobs. One for a process is enough; it may be used by many threads."""

    def __init__(self, settings: Settings, redis: Redis | None = None) -> None:
        self.settings = settings
        self.redis = redis if redis is not None else redis_client(settings)
        self.keys = Keys(settings.prefix)
        self.spool = Spool(settings.data_dir)
        self._redis_away_until = 0.0
        load()

    @classmethod
    def from_env(cls) -> Self:
        """A client configured by `ONELANE_…` variables, or by a running `onelane up` in this directory."""
        return cls(Settings.load())

    def enqueue(
        self,
        job: Job,
        *,
        actor: str,
        id: str | None = None,  # noqa: A002 - the word that every queue uses
        reason: str | None = None,
        lane: str | None = None,
        reply_to: str | None = None,
        connection: Any = None,
    ) -> Handle:
        """Put a job onto its lane; the same `id` twice is one job.

        With Slack's `response_url` as `reply_to`, the outcome's message is posted there.
        With a psycopg `connection` the job becomes part of its transaction: it is delivered after the commit, or never.
        Raises Refused; ConfigurationError when Redis refuses us, SpoolUnusable when neither Redis nor the spool can
        take the job. Nothing was queued then.
        """
        made = order(job, self.settings, actor=actor, job_id=id, reason=reason, lane=lane, reply_to=reply_to)
        if connection is not None:
            from worker.outbox import put  # noqa: PLC0415 - only here is SQL needed

            put(connection, job, actor=actor, reason=reason, job_id=made.id, reply_to=reply_to)
            return Handle(made.id, made.lane, "in_transaction", _client=self)
        (handle,) = self.submit([made])
        if handle.error is not None:
            raise handle.error
        return handle

    def enqueue_many(self, jobs: Iterable[Job], *, actor: str, reason: str | None = None) -> list[Handle]:
        """Put many jobs onto their lanes, in order; a refused one has its error in the handle, the others go on.

        Raises as `enqueue` does; Refused only for a job that no lane would take, and then nothing was queued.
        """
        return self.submit([order(job, self.settings, actor=actor, reason=reason) for job in jobs])

    def submit(self, orders: list[Order]) -> list[Handle]:
        """Send orders to Redis, behind what is in the spool; or append them to the spool while Redis is away, or while
        what is in the spool has to wait. Raises ConfigurationError when Redis refuses us, or the spool can't be used.
        """
        try:
            if self._nothing_spooled():
                return self._handles(orders, self._send(orders))
        except REDIS_AWAY:
            pass
        self.spool.append(orders)
        return self._handles(orders, ["spooled"] * len(orders))

    def flush_spool(self) -> dict[str, str]:
        """Send what the spool holds, if Redis takes it; the word for each job id (see enqueue.lua).

        Raises redis.RedisError or ConfigurationError, and then the spool is as it was.
        """
        return self.spool.flush(self._send)

    def wait(self, job_id: str, timeout: float) -> Outcome:
        """The outcome of a job by id; see Handle.wait."""
        deadline = time.monotonic() + timeout
        key = self.keys.outcome(job_id)
        while True:
            left = deadline - time.monotonic()
            pause: Any = block_seconds(left, self.settings)  # redis-py's types want whole seconds; Redis does not
            raw: Any = self.redis.blmove(key, key, pause, "LEFT", "LEFT")
            if raw is not None:
                return Outcome.from_bytes(raw)
            if left <= 0:
                raise NoOutcome(
                    f"job {job_id} has no outcome after {timeout:g} s; it goes on by itself: see `onelane job {job_id}`"
                )

    def _send(self, orders: list[Order]) -> list[str]:
        if time.monotonic() < self._redis_away_until:
            raise RedisConnectionError("Redis was away a moment ago")
        try:
            must_ring, words = enqueue(self.redis, self.keys, self.settings, orders)
        except RedisError as error:
            if (wrong := misconfigured(error)) is not None:
                raise wrong from None
            if isinstance(error, REDIS_AWAY):
                self._redis_away_until = time.monotonic() + BREATHER_SECONDS
            raise
        if must_ring:
            ring(self.settings)
        return words

    def _nothing_spooled(self) -> bool:
        """Whether nothing waits in the spool, or all of it could be sent just now."""
        if not self.spool.waiting():
            return True
        self.flush_spool()
        return not self.spool.waiting()

    def _handles(self, orders: list[Order], words: list[str]) -> list[Handle]:
        return [self._handle(made, word) for made, word in zip(orders, words, strict=True)]

    def _handle(self, made: Order, word: str) -> Handle:
        error = refusal(word, made, self.settings)
        if error is not None:
            return Handle(made.id, made.lane, "refused", error, self)
        state = STATES[word]
        return Handle(made.id, made.lane, state, _client=self)

"""The tally: counters that all processes share and that outlive each, in one Redis hash.

    enqueued|<kind>                 jobs that were put onto a lane (enqueue.lua)
    deduplicated|<kind>             jobs whose id was known already (enqueue.lua)
    jobs|<status>|<kind>            jobs that ended so
    retries|<kind>                  failed attempts that were tried again
    retried|<result>|<kind>         jobs that needed more than one attempt: recovered, or failed for good
    violations|<constraint>         rows that a constraint refused
    replies|<result>                answers to people: posted, or given up
    batches                         batches that were acknowledged
    <histogram>|sum                 in µs, or jobs
    <histogram>|<upper bound>       observations up to this bound and above the next lower one

Its size depends on kinds and constraints, never on lanes or jobs: what a job only calls its kind counts as `unknown`.
Counting is for watching only: a lost or repeated call only blurs a figure. worker/metrics.py shows it.
"""

import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError

from worker.entry import End, Entry
from worker.job import KINDS
from worker.lane import Keys
from worker.script import Call, run_all
from worker.verdict import Failure

MILLISECOND = 1_000
SECOND = 1_000_000

log = logging.getLogger(__name__)


class Histogram:
    """A distribution: its name, and the upper bounds of its buckets in its own unit."""

    def __init__(self, name: str, bounds: Sequence[int]) -> None:
        self.name, self.bounds = name, bounds
        self._sum = f"{name}|sum"
        self._buckets = [f"{name}|{bound}" for bound in (*bounds, "inf")]

    def observe(self, *values: int) -> Counter[str]:
        """The counts of these observations."""
        counts = Counter([self._buckets[bisect_left(self.bounds, value)] for value in values])
        counts[self._sum] = sum(values)
        return counts


WAIT_US = Histogram(
    "wait_us",
    (
        *(n * MILLISECOND for n in (1, 2, 5, 10, 25, 50, 100, 250, 500)),
        *(n * SECOND for n in (1, 5, 30, 120, 600, 3600)),
    ),
)
"""From enqueue to commit."""
APPLY_US = Histogram(
    "apply_us", tuple(n * MILLISECOND for n in (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000, 10_000))
)
"""What one batch took in PostgreSQL."""
BATCH_JOBS = Histogram("batch_jobs", (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000))
"""How many jobs one batch had."""


def ended(pairs: Sequence[tuple[Entry, End]], seconds: float) -> Counter[str]:
    """What to add when the jobs of a batch that took `seconds` have ended."""
    now = time.time_ns() // 1000
    counts = Counter([f"jobs|{end.status}|{_kind(entry)}" for entry, end in pairs])
    counts += WAIT_US.observe(*[max(0, now - entry.envelope.at) for entry, _ in pairs])
    for entry, end in pairs:
        if entry.attempts > 1:
            counts[f"retried|{'failed' if end.status == 'dead' else 'recovered'}|{_kind(entry)}"] += 1
        if end.failure is not None:
            counts.update(_violation(end.failure))
    return counts + APPLY_US.observe(round(seconds * SECOND)) + BATCH_JOBS.observe(len(pairs)) + Counter(["batches"])


def retried(entry: Entry, failure: Failure) -> Counter[str]:
    """What to add when an attempt has failed and will be made again."""
    return Counter([f"retries|{_kind(entry)}", *_violation(failure)])


def replied(result: str) -> Counter[str]:
    """What to add when a reply was `posted`, or `given_up`."""
    return Counter([f"replies|{result}"])


def counted(counts: Counter[str]) -> Call:
    """The call that adds to the tally."""
    return Call("tally", [part for pair in counts.items() for part in pair], {})


def count(redis: Redis, keys: Keys, counts: Counter[str]) -> None:
    """Add to the tally. Never raises: counting must not harm a job."""
    try:
        run_all(redis, keys, [counted(counts)])
    except RedisError as error:
        log.warning("Counters could not be added to (%s); figures are too low.", type(error).__name__)


def _violation(failure: Failure) -> list[str]:
    return [f"violations|{failure.constraint}"] if failure.constraint else []


def _kind(entry: Entry) -> str:
    kind = entry.envelope.kind
    return kind if kind in KINDS else "unknown"

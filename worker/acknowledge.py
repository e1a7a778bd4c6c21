"""Acknowledge: the last step of a job's way. What has ended is taken off its lane, and the lane is given back.

Called after the commit. If it never comes to that, the lease ends, the next claim finds the jobs in the ledger, and
acknowledges them then. Every call carries the claim's token: one that is no longer in force changes nothing. What has
ended now is counted along with it, and the drain's next claim is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from worker.entry import End, Entry
from worker.lane import Keys
from worker.script import Call, run_all
from worker.settings import Settings
from worker.tally import counted, ended


@dataclass(frozen=True, slots=True)
class Park:
    """The lane waits: `delay_ms` from now, with its head's new memory (None: nothing was its fault)."""

    delay_ms: int
    memory: str | None = None


@dataclass(slots=True)
class Settled:
    """How far a claimed lane has come: the jobs that ended, in order, and what happens to the lane then."""

    lane: str
    ends: list[tuple[Entry, End]] = field(default_factory=list)
    then: Park | None = None


def acknowledge(
    redis: Redis,
    keys: Keys,
    settings: Settings,
    token: int,
    lanes: Sequence[Settled],
    *,
    seconds: float = 0.0,
    clock_floor: int = 0,
    next_claim: Call | None = None,
) -> Any:
    """Give claimed lanes back, in one transaction with the next claim; their batch took `seconds`. Returns what the
    claim has answered.

    Raises redis.RedisError; it can be called again as it is.
    """
    calls = []
    for settled in lanes:
        lane, then = settled.lane, settled.then
        if settled.ends or then is None:
            outcomes = [part for entry, end in settled.ends for part in (entry.queued_as, entry.outcome(end))]
            keep = int(then is not None)
            args = (lane, token, len(settled.ends), keep, settings.outcome_seconds * 1000, *outcomes)
            calls.append(Call("acknowledge", args, {"lane": lane}))
        if then is not None:
            args = (lane, token, then.delay_ms * 1000, then.memory or "", clock_floor)
            calls.append(Call("park", args, {"lane": lane}))
    fresh = [pair for settled in lanes for pair in settled.ends if not pair[1].repeated]
    if fresh:
        calls.append(counted(ended(fresh, seconds)))
    answers = run_all(redis, keys, calls if next_claim is None else [*calls, next_claim])
    return None if next_claim is None else answers[-1]

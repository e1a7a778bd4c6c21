"""The lane book: what stands in the lanes, for people and for scripts.

It is read from indexes alone, in a handful of round trips whatever the backlog is; reading changes nothing.

Only lengths have no index: each enqueue and each acknowledgement would have to pay for it. So the deepest lanes are
looked for among the claimed, the held, and up to `LOOK` of the ready and parked ones, half of them those that are due
for longest, half those that were given back last; and the answer says how many were looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from typing import Any

from pydantic_core import from_json
from redis import Redis

from worker.errors import OnelaneError
from worker.lane import Keys, check_lane
from worker.lane_state import Hold, Lane, moment
from worker.script import run

LOOK = 100_000
"""Ready and parked lanes whose length is looked at, at most."""
PAGE = 1000
"""Lanes that are looked at in one go; Redis serves nobody else meanwhile, about 1 ms."""


class UnknownLane(OnelaneError):
    """Nothing waits in a lane of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No job waits in a lane {name!r}; see `onelane lanes`.")


@dataclass(frozen=True, slots=True)
class Totals:
    """How much waits, and in how many lanes of each state."""

    jobs: int
    ready: int
    parked: int
    held: int
    claimed: int
    oldest: datetime | None
    """Since when the oldest ready lane is ready."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The lanes that are worth a look; the deepest are those among `looked_at` lanes."""

    totals: Totals
    held: list[Lane]
    parked: list[Lane]
    oldest: list[Lane]
    deepest: list[Lane]
    looked_at: int
    now: datetime


class LaneBook:
    """Reads the lanes of one partition. Every method raises redis.RedisError."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis, self._keys = redis, keys

    def lane(self, name: str) -> Lane:
        """One lane. Raises UnknownLane when nothing waits in it; Refused when the name is none."""
        (found,) = self._lanes([check_lane(name)])
        if found is None:
            raise UnknownLane(name)
        return found

    def jobs(self, name: str, limit: int) -> list[bytes]:
        """The first jobs of a lane."""
        found: Any = self._redis.lrange(self._keys.lane(name), 0, limit - 1)
        return list(found)

    def cancelled(self, job_ids: Sequence[str]) -> dict[str, Any]:
        """Which of these jobs are marked as cancelled, and the notes about it."""
        notes: Any = self._redis.hmget(self._keys.named("cancelled"), job_ids) if job_ids else []
        return {job_id: from_json(note) for job_id, note in zip(job_ids, notes, strict=True) if note is not None}

    def holder(self, token: int) -> str | None:
        """The drain that holds this claim, or None if it has let go, or is no drain but a person."""
        drains: Any = self._redis.zrange(self._keys.named("drains"), 0, -1)
        grants: Any = (
            self._redis.mget([self._keys.named("grant", grant=drain.decode()) for drain in drains]) if drains else []
        )
        for drain, grant in zip(drains, grants, strict=True):
            if grant is not None and grant.split()[1] == b"%d" % token:
                return str(drain.decode())
        return None

    def totals(self) -> Totals:
        """The figures of all lanes."""
        now = self._now()
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hlen(self._keys.named("pending"))
            pipeline.zcount(self._keys.named("ready"), "-inf", now)
            pipeline.zcount(self._keys.named("ready"), f"({now}", "+inf")
            pipeline.zcard(self._keys.named("claimed"))
            pipeline.hlen(self._keys.named("held"))
            pipeline.zrange(self._keys.named("ready"), 0, 0, withscores=True)
            jobs, ready, later, claimed, held, oldest = pipeline.execute()
        timed = (
            sum(hold.until is not None and _micros(hold.until) > now for hold in self.holds().values()) if held else 0
        )
        since = moment(oldest[0][1]) if ready else None
        return Totals(jobs, ready, max(0, later - timed), held, claimed, since)

    def holds(self) -> dict[str, Hold]:
        """The held lanes, at most `PAGE` of them, and why."""
        found: Any = self._redis.hrandfield(self._keys.named("held"), PAGE, withvalues=True)
        return {lane.decode(): Hold.read(note) for lane, note in _pairs(found)}

    def overview(self, count: int) -> Overview:
        """The figures, and up to `count` of the lanes that are held, parked (the next first), oldest and deepest."""
        now = self._now()
        holds = self.holds()
        ready = self._keys.named("ready")
        due: Any = self._redis.zrange(ready, "-inf", now, byscore=True, offset=0, num=count)
        later: Any = self._redis.zrange(ready, f"({now}", "+inf", byscore=True, offset=0, num=count + len(holds))
        claimed: Any = self._redis.zrange(self._keys.named("claimed"), 0, PAGE - 1)
        looked_at, deepest = self._deepest(
            [*_names(claimed), *(name for name, hold in holds.items() if hold.until is None)], count
        )
        parked = [name for name in _names(later) if name not in holds][:count]
        held = sorted(holds, key=lambda name: (holds[name].since or moment(now), name))[:count]
        names = list(dict.fromkeys([*held, *parked, *_names(due), *deepest]))
        known = dict(zip(names, self._lanes(names), strict=True))

        def lanes(section: Iterable[str]) -> list[Lane]:
            return [lane for name in section if (lane := known[name]) is not None]

        return Overview(
            self.totals(), lanes(held), lanes(parked), lanes(_names(due)), lanes(deepest), looked_at, moment(now)
        )

    def _deepest(self, others: Sequence[str], count: int) -> tuple[int, list[str]]:
        """How many lanes were looked at, and the longest of them; `others` are those that stand in no `ready`."""
        lengths = dict(zip(others, self._lengths(others), strict=True))
        total: Any = self._redis.zcard(self._keys.named("ready"))
        looked_at = len(lengths)
        for first, last in _ranges(total):
            seen, *found = run(self._redis, self._keys, "deepest", first, last, count)
            looked_at += seen
            lengths.update((name.decode(), length) for name, length in _pairs(found))
        waiting = {name: length for name, length in lengths.items() if length}
        return looked_at, nlargest(count, sorted(waiting), key=waiting.__getitem__)

    def _lengths(self, names: Iterable[str]) -> list[int]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.llen(self._keys.lane(name))
            return pipeline.execute()

    def _lanes(self, names: Sequence[str]) -> list[Lane | None]:
        """The lanes of these names, all at the same moment; None for one in which nothing waits."""
        named = self._keys.named
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.time()
            for name in names:
                pipeline.llen(self._keys.lane(name))
                pipeline.lindex(self._keys.lane(name), 0)
                pipeline.zscore(named("ready"), name)
                pipeline.zscore(named("claimed"), name)
                for memory in ("tokens", "held", "attempts", "crashes"):
                    pipeline.hget(named(memory), name)
            (seconds, micros), *found = pipeline.execute()
        now = seconds * 1_000_000 + micros
        return [Lane.read(now, name, found[8 * n : 8 * n + 8]) for n, name in enumerate(names)]

    def _now(self) -> int:
        time: Any = self._redis.time()
        return int(time[0] * 1_000_000 + time[1])


def _micros(time: datetime) -> int:
    return round(time.timestamp() * 1_000_000)


def _ranges(total: int) -> Iterator[tuple[int, int]]:
    """First and last places of `PAGE` lanes each; if there are more than `LOOK`, those at both ends."""
    half = LOOK // 2
    spans = [(0, total)] if total <= LOOK else [(0, half), (total - half, total)]
    for begin, end in spans:
        for first in range(begin, end, PAGE):
            yield first, min(first + PAGE, end) - 1


def _names(found: Iterable[bytes]) -> list[str]:
    return [name.decode() for name in found]


def _pairs(flat: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)

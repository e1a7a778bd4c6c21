"""Whether cost stays flat: a drain beside 100,000 parked lanes, and one at the head of 1,000,000 waiting jobs.

The drain without them is measured before and after, for the machine's mood. No drain is timed to its end: a worker that
finds nothing left while the other still works is no matter here, and one with a backlog behind it never does.
"""

import time
from collections.abc import Iterator
from statistics import median

from bench.drain import LANES, drain
from bench.figure import Figure
from bench.people import ACTOR, people
from bench.stage import Stage, until
from worker.acknowledge import Park, Settled, acknowledge
from worker.claim import Claim, Claimer

JOBS = 50_000
TAIL = JOBS // 10
PARKED, WAITING = 100_000, 1_000_000
PARK_AT_ONCE = 1_000
AN_HOUR_MS = 3_600_000
CHUNK = 10_000
GOAL = 0.9


def measure(stage: Stage) -> list[Figure]:
    """Both burdens against the drain without."""
    parked, waiting = (PARKED // 10, WAITING // 5) if stage.quick else (PARKED, WAITING)
    stage.clear()
    without = _rates(stage, "before")
    _park(stage, parked)
    beside_parked = _rates(stage, "beside")
    stage.clear()
    ahead_of_waiting = _rates_ahead(stage, waiting)
    without += _rates(stage, "after")
    return [
        _figure(f"drain beside {parked:,} parked lanes", beside_parked, without),
        _figure(f"drain ahead of {waiting:,} waiting jobs", ahead_of_waiting, without),
    ]


def _figure(work: str, rates: list[float], without: list[float]) -> Figure:
    return Figure.of_rounds(work, "jobs/s", [(median(rates), median(without))], "at least", GOAL)


def _rates(stage: Stage, tag: str) -> list[float]:
    """Beside whatever waits now."""
    rates = []
    beside = stage.waiting()
    with stage.crew() as workers:
        drain(stage, workers, LANES, LANES, "warm")
        for turn in range(stage.rounds(5)):
            stage.tidy()
            rates.append(drain(stage, workers, JOBS, LANES, f"{tag}{turn}", rest=TAIL))
            until(lambda: stage.waiting() == beside)
    return rates


def _rates_ahead(stage: Stage, waiting: int) -> list[float]:
    """With `waiting` jobs in the lanes that are drained; the first of them only warm the workers."""
    rates = []
    for count, tag in _chunks(waiting + JOBS * (stage.rounds(5) + 1)):
        stage.client.enqueue_many(people(count, LANES, tag), actor=ACTOR)
    with stage.crew() as workers:
        left = stage.waiting() - JOBS
        until(lambda: stage.waiting() <= left)
        for _ in range(stage.rounds(5)):
            workers.pause()
            stage.tidy()
            began, left = time.monotonic(), stage.waiting()
            workers.go()
            until(lambda: stage.waiting() <= left - JOBS)  # noqa: B023 - called before `left` changes
            rates.append((left - stage.waiting()) / (time.monotonic() - began))
    stage.clear()
    return rates


def _park(stage: Stage, lanes: int) -> None:
    """Park lanes of other people, as a worker does whose job failed for the first time."""
    first = LANES
    for count, tag in _chunks(lanes):
        stage.client.enqueue_many(people(count, count, tag, first=first), actor=ACTOR)
        first += count
    redis, keys = stage.client.redis, stage.client.keys
    settings = stage.settings.model_copy(update={"claim_lanes": PARK_AT_ONCE, "claim_jobs": PARK_AT_ONCE})
    claimer = Claimer(redis, keys, settings, "bench")
    park = Park(AN_HOUR_MS, f"1 {time.time_ns() // 1000}")
    while isinstance(claim := claimer.claim(), Claim):
        acknowledge(redis, keys, settings, claim.token, [Settled(lane.name, then=park) for lane in claim.lanes])
    claimer.leave()


def _chunks(jobs: int) -> Iterator[tuple[int, str]]:
    for first in range(0, jobs, CHUNK):
        yield min(CHUNK, jobs - first), f"chunk{first}"

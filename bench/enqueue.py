"""What it costs a bot to enqueue: validation, envelope and script, against a bare RPUSH of the same bytes.

Nobody drains meanwhile. The two take turns, over one connection each, from one process. One by one they do so every few
ms: how long a sync to disk takes changes within a second, and is half of what is measured.
"""

import time
from collections.abc import Sequence

from redis import Redis

from bench.figure import Figure
from bench.people import ACTOR, people
from bench.stage import Stage
from worker.enqueue import order

LANES = 1_000
BLOCK, BLOCKS = 10, 50
BULK = 10_000
PIPELINE = 500


def measure(stage: Stage) -> list[Figure]:
    """One by one, and in bulk."""
    stage.clear()
    stage.tidy()
    with Redis.from_url(stage.settings.redis_url) as bare:
        _one_by_one(stage, bare, "warm"), _bulk(stage, bare, "warm")
        singles = [_one_by_one(stage, bare, f"single{turn}") for turn in range(stage.rounds(4) * 3)]
        bulks = []
        for turn in range(stage.rounds(2) * 3):
            stage.clear()
            bulks.append(_bulk(stage, bare, f"bulk{turn}"))
    stage.clear()
    return [
        Figure.of_rounds("enqueue one by one", "jobs/s", singles, "at least", 0.5),
        Figure.of_rounds(f"enqueue {BULK:,} jobs in bulk", "jobs/s", bulks, "at least", 0.3),
    ]


def _one_by_one(stage: Stage, bare: Redis, tag: str) -> tuple[float, float]:
    ours = baseline = 0.0
    for block in range(BLOCKS):
        first = block * BLOCK
        rows = _rows(stage, BLOCK, tag, first)
        began = time.perf_counter()
        for key, body in rows:
            bare.rpush(key, body)
        between = time.perf_counter()
        for job in people(BLOCK, LANES, tag, first=first):
            stage.client.enqueue(job, actor=ACTOR)
        ours += time.perf_counter() - between
        baseline += between - began
    return BLOCK * BLOCKS / ours, BLOCK * BLOCKS / baseline


def _bulk(stage: Stage, bare: Redis, tag: str) -> tuple[float, float]:
    rows = _rows(stage, BULK, tag)
    began = time.perf_counter()
    for first in range(0, BULK, PIPELINE):
        with bare.pipeline(transaction=False) as pipeline:
            for key, body in rows[first : first + PIPELINE]:
                pipeline.rpush(key, body)
            pipeline.execute()
    between = time.perf_counter()
    stage.client.enqueue_many(people(BULK, LANES, tag), actor=ACTOR)
    return BULK / (time.perf_counter() - between), BULK / (between - began)


def _rows(stage: Stage, count: int, tag: str, first: int = 0) -> Sequence[tuple[str, bytes]]:
    orders = (order(job, stage.settings, actor=ACTOR) for job in people(count, LANES, tag, first=first))
    return [(f"bare:{made.lane}", made.body) for made in orders]

"""How fast a full backlog is drained: spread over a thousand lanes, and all in one lane.

The workers are warm, and stopped (SIGSTOP) while the jobs are enqueued; the clock runs from the moment they may go on
to the last acknowledgement in Redis, so bells, claims and both ends of the queue are in it.
"""

import time
from collections.abc import Callable

from bench.bare_loop import bare_loop
from bench.crew import Crew
from bench.figure import Figure
from bench.people import ACTOR, people
from bench.stage import Stage, until

JOBS, LANES = 20_000, 1_000
ONE_LANE_JOBS = 10_000


def measure(stage: Stage) -> list[Figure]:
    """Both drains against the same bare loop."""
    spread, single = [], []
    stage.clear()
    with stage.crew() as workers:
        drain(stage, workers, LANES, LANES, "warm")
        for turn in range(stage.rounds(5)):
            stage.tidy()
            bare = bare_loop(stage.settings.database_url, JOBS, LANES, f"bare{turn}")
            stage.tidy()
            spread.append((drain(stage, workers, JOBS, LANES, f"spread{turn}"), bare))
            stage.tidy()
            single.append((drain(stage, workers, ONE_LANE_JOBS, 1, f"single{turn}"), bare))
    return [
        Figure.of_rounds(f"drain {JOBS:,} jobs over {LANES:,} lanes", "jobs/s", spread, "at least", 0.8),
        Figure.of_rounds(f"drain {ONE_LANE_JOBS:,} jobs of one lane", "jobs/s", single, "at least", 0.4),
    ]


def drain(stage: Stage, workers: Crew, jobs: int, lanes: int, tag: str, *, rest: int = 0) -> float:
    """Enqueue, and drain until all but `rest` of these jobs are acknowledged; jobs per second."""
    return drain_filled(
        stage,
        workers,
        lambda: stage.client.enqueue_many(people(jobs, lanes, tag), actor=ACTOR),
        jobs=jobs - rest,
    )


def drain_filled(stage: Stage, workers: Crew, fill: Callable[[], object], *, jobs: int) -> float:
    """Fill lanes while the workers are stopped, and drain so many jobs; jobs per second.

    All that were acknowledged count: jobs end by claims of thousands, and where one job more waits, one claim more is
    awaited.
    """
    stage.await_idle()
    workers.pause()
    fill()
    filled = stage.waiting()
    began = time.monotonic()
    workers.go()
    until(lambda: stage.waiting() <= filled - jobs)
    return (filled - stage.waiting()) / (time.monotonic() - began)

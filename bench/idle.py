"""What a worker costs that has nothing to do: CPU of all its processes, beside a plain Celery worker at the same time.

Both have worked before, so both have their connections open. What they cost Redis and PostgreSQL is not counted.
"""

import time
from collections.abc import Callable
from statistics import median

from celery import Celery

from bench.figure import Figure
from bench.people import ACTOR, people
from bench.plain import QUEUES, SAVE
from bench.stage import Stage, until

SECONDS = 20
SETTLE_SECONDS = 5

SAVED = "SELECT new_values ->> 'name' FROM audit_logs WHERE new_values ->> 'name' IN ('ours 0', 'plain 0')"


def measure(stage: Stage) -> list[Figure]:
    """CPU seconds per minute."""
    stage.clear()
    stage.tidy()
    with stage.crew(1) as ours, stage.plain_crew(1) as plain:
        _let_both_work(stage)
        rounds = [_side_by_side(ours.cpu_seconds, plain.cpu_seconds) for _ in range(stage.rounds(3))]
    both = tuple(median(numbers) for numbers in zip(*rounds, strict=True))
    return [Figure.of_rounds("idle worker", "CPU s/min", [(both[0], both[1])], "at most", 1.5)]


def _let_both_work(stage: Stage) -> None:
    (job,) = people(1, 1, "ours")
    stage.client.enqueue(job, actor=ACTOR)
    (job,) = people(1, 1, "plain")
    plain = Celery("bench", broker=stage.plain_broker, set_as_current=False)
    plain.send_task(SAVE, (job.slack_id, job.name), queue=QUEUES[0], ignore_result=True)
    until(lambda: {("ours 0",), ("plain 0",)} <= set(stage.database.execute(SAVED).fetchall()))
    stage.await_idle()
    time.sleep(SETTLE_SECONDS)


def _side_by_side(*used: Callable[[], float]) -> tuple[float, ...]:
    before = [each() for each in used]
    time.sleep(SECONDS)
    return tuple((each() - start) * 60 / SECONDS for each, start in zip(used, before, strict=True))

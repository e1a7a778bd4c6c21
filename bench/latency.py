"""How long a job takes from the call of `enqueue` to its commit, under steady traffic, against plain Celery.

A hundred jobs a second over five hundred people. The two take turns: each sends for some seconds while the other's
workers are idle. The end is PostgreSQL's own note of the commit that wrote the job's audit row.
"""

import time
from collections.abc import Callable
from statistics import quantiles

from celery import Celery

from bench.figure import Figure
from bench.people import ACTOR, people
from bench.plain import SAVE, queue_of
from bench.stage import Stage, until
from tasks import UpsertUser

RATE, LANES = 100, 500
SECONDS = 8
WARM_JOBS = 50
"""Sent first in each turn and not counted: steady traffic is measured."""

Send = Callable[[UpsertUser], object]

COMMITS = """
SELECT new_values ->> 'name', extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM audit_logs WHERE new_values ->> 'name' LIKE %s
"""


def measure(stage: Stage) -> list[Figure]:
    """The median, and the slowest hundredth."""
    stage.clear()
    stage.tidy()
    plain = Celery("bench", broker=stage.plain_broker, set_as_current=False)

    def send_ours(job: UpsertUser) -> None:
        stage.client.enqueue(job, actor=ACTOR)

    def send_plain(job: UpsertUser) -> None:
        plain.send_task(SAVE, (job.slack_id, job.name), queue=queue_of(job.slack_id), ignore_result=True)

    middle, slowest = [], []
    with stage.crew(), stage.plain_crew():
        for turn in range(stage.rounds(5)):
            baseline = _milliseconds(stage, send_plain, f"plain{turn}")
            ours = _milliseconds(stage, send_ours, f"ours{turn}")
            middle.append((ours[49], baseline[49]))
            slowest.append((ours[98], baseline[98]))
    work = f"enqueue → commit, {RATE} jobs/s over {LANES} lanes"
    return [
        Figure.of_rounds(f"{work}, p50", "ms", middle, "at most", 0.9),
        Figure.of_rounds(f"{work}, p99", "ms", slowest, "at most", 0.8),
    ]


def _milliseconds(stage: Stage, send: Send, tag: str) -> list[float]:
    """The percentiles, 1 to 99."""
    sent = {}
    count = RATE * SECONDS + WARM_JOBS
    begin = time.monotonic()
    for n, job in enumerate(people(count, LANES, tag)):
        time.sleep(max(0.0, begin + n / RATE - time.monotonic()))
        sent[job.name] = time.time()
        send(job)
    commits: dict[str, float] = {}

    def all_committed() -> bool:
        commits.update(stage.database.execute(COMMITS, [f"{tag} %"]).fetchall())
        return len(commits) == count

    until(all_committed)
    latencies = [(commits[name] - at) * 1000 for name, at in sent.items()]
    return quantiles(latencies[WARM_JOBS:], n=100, method="inclusive")

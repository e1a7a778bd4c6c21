"""The baseline of the drains: a bare psycopg loop, two processes, a statement for each row, a commit for each hundred.

It has no queue, no order, no ledger and no fence; each process has people of its own, so they never wait for each
other. What it does is the least that this work costs with one statement for each job.
"""

import multiprocessing
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

import psycopg

from bench.people import ACTOR, SAVE_ONE, people

PROCESSES = 2
PER_COMMIT = 100


def bare_loop(database_url: str, jobs: int, lanes: int, tag: str) -> float:
    """Jobs per second, from the common start to the last commit."""
    context = multiprocessing.get_context("spawn")
    start, times = context.Barrier(PROCESSES), context.Queue()
    rows = [(job.slack_id, job.name) for job in people(jobs, lanes, tag)]
    loops = [
        context.Process(target=_loop, args=(database_url, _part(rows, lanes, number), start, times))
        for number in range(PROCESSES)
    ]
    for loop in loops:
        loop.start()
    spans: list[tuple[float, float]] = [times.get(timeout=300) for _ in loops]
    for loop in loops:
        loop.join()
    return jobs / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def _part(rows: list[tuple[str, str]], lanes: int, number: int) -> list[tuple[str, str]]:
    return [row for n, row in enumerate(rows) if n % lanes % PROCESSES == number]


def _loop(database_url: str, rows: list[tuple[str, str]], start: Barrier, times: "Queue[tuple[float, float]]") -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        start.wait()
        began = time.time()
        for first in range(0, len(rows), PER_COMMIT):
            with connection.pipeline(), connection.transaction():
                for slack_id, name in rows[first : first + PER_COMMIT]:
                    values = {"slack_id": slack_id, "name": name, "actor": ACTOR}
                    connection.execute(SAVE_ONE, values, prepare=True)
        times.put((began, time.time()))

"""What an operator waits for: a million dead letters and 100,000 lanes looked through, and many replayed.

Looking is measured by the clock of the person who types the command, against the second that was promised; `stats`, for
which nothing was, reads all of them and may take two. A replay is measured twice: how fast workers drain what is back
in its lanes, against as many fresh jobs; and from the command to the last end, against as many jobs from their enqueue
on, while workers drain: then both share the machine with whoever feeds the lanes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from bench.backlog import AN_HOUR_MS
from bench.crew import ROOT, Crew
from bench.drain import LANES, drain, drain_filled
from bench.figure import Figure
from bench.people import ACTOR, people
from bench.stage import Stage, until
from worker.database import connect
from worker.dead_letters import Filter
from worker.dead_letters.drive import Drive
from worker.enqueue import order
from worker.query import query

LETTERS, LISTED_LANES, REPLAYED = 1_000_000, 100_000, 100_000
CHUNK = 5_000
PROMISED_SECONDS = 1.0
DRAIN_GOAL = 0.9
"""A drain at the normal rate, as beside a backlog."""
REPLAY_GOAL = 0.7

BURY = """
INSERT INTO onelane.ledger (
    job_id, kind, lane, seq, actor, digest, status, code, message, worker, token, enqueued_at, body, error_class,
    sqlstate, error, traceback, first_attempt_at)
SELECT id, 'user.upsert', lane, seq, %(actor)s, digest, 'dead', 'permanent', '', 'bench', 1, now(), body,
    'CheckViolation', '23514', 'a constraint', repeat('trace ', 300), now()
FROM unnest(%(ids)s::text[], %(lanes)s::text[], %(seqs)s::bigint[], %(digests)s::text[], %(bodies)s::bytea[])
    AS j (id, lane, seq, digest, body)
"""
"""As a batch records them, without the work of dying."""


def measure(stage: Stage) -> list[Figure]:
    """Two ways to look at a replay, and three commands."""
    letters, lanes, replayed = (
        (LETTERS // 10, LISTED_LANES // 10, REPLAYED // 5) if stage.quick else (LETTERS, LISTED_LANES, REPLAYED)
    )
    stage.clear()
    drained, whole = [], []
    with stage.crew() as workers:
        for turn in range(stage.rounds(5)):
            whole.append((_replay(stage, replayed, f"dead{turn}"), _live(stage, replayed, f"live{turn}")))
            again = _drain_replayed(stage, workers, replayed, f"again{turn}")
            stage.tidy()
            drained.append((again, drain(stage, workers, replayed, LANES, f"fresh{turn}")))
    _bury(stage, letters, "left", LISTED_LANES)
    stage.tidy()
    _fill_lanes(stage, lanes)
    commands = {("dead", "list"): 1, ("dead", "stats"): 2, ("lanes",): 1}
    found = f"{letters:,} dead letters, {lanes:,} lanes"
    return [
        Figure.of_rounds(f"drain {replayed:,} replayed jobs", "jobs/s", drained, "at least", DRAIN_GOAL),
        Figure.of_rounds(f"replay {replayed:,} dead letters, in all", "jobs/s", whole, "at least", REPLAY_GOAL),
        *(
            Figure.of_rounds(f"onelane {' '.join(words)}: {found}", "s", _seconds(stage, words), "at most", most)
            for words, most in commands.items()
        ),
    ]


def _live(stage: Stage, count: int, tag: str) -> float:
    """Jobs a second from the first enqueue to the last acknowledgement, with workers that drain meanwhile."""
    stage.tidy()
    stage.await_idle()
    began = time.monotonic()
    stage.client.enqueue_many(people(count, LANES, tag), actor=ACTOR)
    until(lambda: stage.waiting() == 0)
    return count / (time.monotonic() - began)


def _replay(stage: Stage, count: int, tag: str) -> float:
    """Dead letters a second from the beginning of the replay to its last end."""
    _bury(stage, count, tag, LANES)
    stage.tidy()
    stage.await_idle()
    with _drive(stage) as drive:
        began = time.monotonic()
        drive.run(Filter(), actor=ACTOR, reason="bench", force=False)
        until(lambda: stage.waiting() == 0 and drive.undelivered() == 0)
        return count / (time.monotonic() - began)


def _drain_replayed(stage: Stage, workers: Crew, count: int, tag: str) -> float:
    """Replayed jobs a second that workers get done, once all are in their lanes."""
    _bury(stage, count, tag, LANES)
    stage.tidy()
    with _drive(stage) as drive:
        return drain_filled(
            stage, workers, lambda: drive.run(Filter(), actor=ACTOR, reason="bench", force=False), jobs=count
        )


@contextmanager
def _drive(stage: Stage) -> Iterator[Drive]:
    with connect(stage.settings) as connection:
        connection.execute(query("dead_session"))
        yield Drive(stage.settings, connection, stage.client.redis)


def _bury(stage: Stage, count: int, tag: str, lanes: int) -> None:
    """Dead letters that are newer than all that their lanes applied."""
    first = time.time_ns() // 1000
    orders = (order(job, stage.settings, actor=ACTOR) for job in people(count, lanes, tag))
    while chunk := list(islice(orders, CHUNK)):
        seqs = range(first, first := first + len(chunk))
        values = {
            "actor": ACTOR,
            "ids": [made.id for made in chunk],
            "lanes": [made.lane for made in chunk],
            "seqs": list(seqs),
            "digests": [made.digest for made in chunk],
            "bodies": [b'{"seq":%d,%s' % (seq, made.body[1:]) for seq, made in zip(seqs, chunk, strict=True)],
        }
        stage.database.execute(BURY, values)


def _fill_lanes(stage: Stage, lanes: int) -> None:
    """One job in each; half of them wait for an hour."""
    stage.client.enqueue_many(people(lanes, lanes, "waits"), actor=ACTOR)
    later = time.time_ns() // 1000 + AN_HOUR_MS * 1000
    ready = stage.client.keys.named("ready")
    names = [name for name, _ in stage.client.redis.zrange(ready, 0, lanes // 2, withscores=True)]
    for begin in range(0, len(names), CHUNK):
        stage.client.redis.zadd(ready, dict.fromkeys(names[begin : begin + CHUNK], later))


def _seconds(stage: Stage, words: tuple[str, ...]) -> list[tuple[float, float]]:
    """How long the command takes, against what was promised; its modules are compiled, as installed ones are."""
    command = [sys.executable, "-c", "from worker.cli import main; main()", *words]
    environment = {**os.environ, **stage.services, "PYTHONPYCACHEPREFIX": str(stage.settings.data_dir / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    rounds = []
    for _ in range(1 + stage.rounds(3)):
        began = time.monotonic()
        subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        rounds.append((time.monotonic() - began, PROMISED_SECONDS))
    return rounds[1:]

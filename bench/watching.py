"""What it costs to be watched: a drain with events, metrics and the mirror, against one with none of them.

Two crews do the same work in turns, on lanes of their own; one is stopped (SIGSTOP) while the other drains, so the two
numbers of a round are some seconds apart. The rate is what was promised. On a machine that does something else too, the
CPU that the workers use is the steadier figure: it is about half of what a job costs, the rest is PostgreSQL's and
Redis', so twice the share is allowed there. The end of a drain is not timed: the mirror's last jobs rest.
"""

from bench.crew import Crew
from bench.drain import LANES, drain
from bench.figure import Figure
from bench.stage import Stage, until

JOBS = 40_000
TAIL = JOBS // 10
GOAL = 0.85
CPU_GOAL = 1.3


def measure(stage: Stage) -> list[Figure]:
    """Rates, and CPU."""
    stage.clear()
    mirror = stage.settings.data_dir / "mirror"
    mirror.mkdir()
    other = stage.other()
    rates, cpu = [], []
    with (
        stage.crew(environment={"TRIAGE_MIRROR_DIR": str(mirror)}) as watched,
        other.crew(app="bench.silent") as silent,
    ):
        sides = [(stage, watched), (other, silent)]
        for place, workers in sides:
            drain(place, workers, LANES, LANES, "warm")
            _rest(place, workers)
        for turn in range(stage.rounds(15)):
            found = [_drain(*side, f"turn{turn}") for side in (sides if turn % 2 else reversed(sides))]
            on, off = found if turn % 2 else reversed(found)
            rates.append((on[0], off[0]))
            cpu.append((on[1], off[1]))
    work = f"drain {JOBS:,} jobs, watched against unwatched"
    return [
        Figure.of_rounds(work, "jobs/s", rates, "at least", GOAL),
        Figure.of_rounds(f"{work}: CPU of the workers", "µs/job", cpu, "at most", CPU_GOAL),
    ]


def _drain(stage: Stage, workers: Crew, tag: str) -> tuple[float, float]:
    """Jobs per second, and µs of CPU for each, of workers that were stopped and are stopped again."""
    stage.tidy()
    workers.go()
    before = workers.cpu_seconds()
    rate = drain(stage, workers, JOBS, LANES, tag, rest=TAIL)
    used = workers.cpu_seconds() - before
    _rest(stage, workers)
    return rate, used / (JOBS - TAIL) * 1e6


def _rest(stage: Stage, workers: Crew) -> None:
    """Stop them when they have done all."""
    until(lambda: stage.waiting() == 0)
    stage.await_idle()
    workers.pause()

"""What it costs to be watched: a drain with events, metrics and the mirror, against one with none of them.

Both crews do the same work in turns, each on the machine alone. The rate is what was promised. On a machine that does
something else too, the CPU that the workers use is the steadier figure: it is about half of what a job costs, the rest
is PostgreSQL's and Redis', so twice the share is allowed there. The end of a drain is not timed: the mirror's last
jobs rest.
"""

import statistics

from bench.drain import LANES, drain
from bench.figure import Figure
from bench.stage import Stage, until

JOBS = 40_000
TAIL = JOBS // 10
GOAL = 0.85
CPU_GOAL = 1.3


def measure(stage: Stage) -> list[Figure]:
    """Rates, and CPU."""
    rounds = [_round(stage, turn) for turn in range(stage.rounds(7))]
    rates = [(on[0], off[0]) for on, off in rounds]
    cpu = [(on[1], off[1]) for on, off in rounds]
    work = f"drain {JOBS:,} jobs, watched against unwatched"
    return [
        Figure.of_rounds(work, "jobs/s", rates, "at least", GOAL),
        Figure.of_rounds(f"{work}: CPU of the workers", "µs/job", cpu, "at most", CPU_GOAL),
    ]


def _round(stage: Stage, turn: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Watched and unwatched; who begins alternates."""
    mirror = stage.settings.data_dir / "mirror"
    mirror.mkdir(exist_ok=True)
    crews = {"worker.app": {"TRIAGE_MIRROR_DIR": str(mirror)}, "bench.silent": {}}
    order = list(crews) if turn % 2 else list(reversed(crews))
    found = {app: _drains(stage, app, crews[app], f"{app}{turn}") for app in order}
    return found["worker.app"], found["bench.silent"]


def _drains(stage: Stage, app: str, environment: dict[str, str], tag: str) -> tuple[float, float]:
    """Jobs per second, and µs of CPU for each; the median of three drains of one crew."""
    rates, cpu = [], []
    stage.clear()
    with stage.crew(app=app, environment=environment) as workers:
        drain(stage, workers, LANES, LANES, "warm")
        until(lambda: stage.waiting() == 0)
        for n in range(3):
            stage.tidy()
            before = workers.cpu_seconds()
            rates.append(drain(stage, workers, JOBS, LANES, f"{tag}.{n}", rest=TAIL))
            until(lambda: stage.waiting() == 0)
            cpu.append((workers.cpu_seconds() - before) / JOBS * 1e6)
    return statistics.median(rates), statistics.median(cpu)

"""A crew: Celery workers as real processes, each in a session of its own, by which all its processes are found."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from worker.embedded.server import dies_with_parent

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0
STOP_SECONDS = 30.0
SESSION_FIELD = 3
"""Of /proc/<pid>/stat, counted from behind the program's name."""


class Crew:
    """Workers that run."""

    def __init__(self, workers: Sequence["subprocess.Popen[bytes]"]) -> None:
        self._workers = workers

    def pause(self) -> None:
        """Stop them where they are."""
        self._signal(signal.SIGSTOP)

    def go(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def cpu_seconds(self) -> float:
        """What all their processes and threads have used so far; needs Linux's /proc."""
        sessions = {worker.pid for worker in self._workers}
        return sum(_used(process) for process in Path("/proc").glob("[0-9]*") if _session(process) in sessions)

    def stop(self) -> None:
        """End them in good order."""
        self.go()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()

    def _signal(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.poll() is None:
                os.killpg(worker.pid, number)


@contextmanager
def crew(
    app: str, broker: str, options: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path
) -> Iterator[Crew]:
    """A worker of the Celery app for each list of options, until the block ends; they answer before it begins.

    Raises RuntimeError with the end of the log when they don't start.
    """
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "-l", "WARNING"]
    with log.open("ab") as output:
        workers = [
            subprocess.Popen(
                dies_with_parent([*command, "-n", f"{app}.{n}@bench", *own], signal.SIGTERM),
                env={**os.environ, **environment},
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for n, own in enumerate(options)
        ]
    running = Crew(workers)
    try:
        _await(broker, workers, log)
        yield running
    finally:
        running.stop()


def _await(broker: str, workers: Sequence["subprocess.Popen[bytes]"], log: Path) -> None:
    control = Celery("bench", broker=broker, set_as_current=False).control
    deadline = time.monotonic() + START_SECONDS
    while len(control.ping(timeout=0.3)) < len(workers):
        if time.monotonic() > deadline or any(worker.poll() is not None for worker in workers):
            raise RuntimeError(f"the workers did not start:\n{log.read_text()[-2000:]}")


def _session(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[SESSION_FIELD])
    except OSError:
        return None  # it has just ended


def _used(process: Path) -> float:
    """In the scheduler's nanoseconds: the ticks of `stat` are too coarse for a worker that does next to nothing."""
    return sum(int(each.read_text().split()[0]) for each in process.glob("task/*/schedstat")) / 1e9

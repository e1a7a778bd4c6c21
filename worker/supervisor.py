"""Processes that run as long as we do: the workers and Flower of `onelane up`.

Each has a session of its own, so a Ctrl-C in the terminal reaches us alone and we choose the order in which they stop.
What dies is started again, after a pause that doubles while it keeps dying young. On Linux the kernel stops them when
we are killed (worker/embedded/server.py). What a process leaves behind, such as the child of a killed Celery worker,
goes with its process group before its successor starts.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from worker.embedded.server import dies_with_parent

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
GROWN_UP_SECONDS = 60.0
"""A process that lived this long has no history of dying young any more."""
STOP_SECONDS = 30.0


class Child:
    """One process that is started again whenever it dies, until it is stopped."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._start_after = 0.0
        self._deaths = 0

    def start(self) -> None:
        """Start it. Call this in a thread that lives as long as the process shall."""
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            dies_with_parent(self._command, signal.SIGTERM),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def look_after(self) -> str | None:
        """Notice its death, and start it again once the pause is over; a sentence when it has died."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._start_after:
                self.start()
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._end_group()
        self._process = None
        self._deaths = self._deaths + 1 if now - self._started < GROWN_UP_SECONDS else 1
        pause = pause_seconds(self._deaths)
        self._start_after = now + pause
        return f"{self.name} {_how(code)}; it starts again in {pause:g} s."

    def ask_to_stop(self) -> None:
        """Let it finish what it does, and begin nothing new."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, deadline: float) -> bool:
        """Wait until it has ended, and kill it at the deadline (monotonic, s); whether it ended by itself."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        finally:
            self._end_group()
            self._process.wait()
            self._process = None
        return True

    def _end_group(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
                os.killpg(self._process.pid, signal.SIGKILL)


def stop_all(children: Sequence[Child]) -> list[str]:
    """Stop processes side by side; the names of those that had to be killed."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + STOP_SECONDS
    return [child.name for child in children if not child.wait(deadline)]


def pause_seconds(deaths: int) -> float:
    """How long to wait after the n-th death in a row."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (deaths - 1))


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

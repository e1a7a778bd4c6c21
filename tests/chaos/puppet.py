"""A worker in a process of its own that sends itself a signal at one step of its work, so that a test can look at what
a death or a pause right there leaves behind. The services are real; only the step's function is wrapped.
"""

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import tests.integration.kinds  # noqa: F401 - the kinds that it applies
from tests.integration.notebook import Worker, eventually
from worker.settings import Settings


@dataclass(frozen=True)
class Step:
    """A step of a worker: before or after a call of a function, or of a method."""

    when: Literal["before", "after"]
    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.when} {self.module.removeprefix('worker.')}.{self.function}"

    def rig(self, act: Callable[[], object]) -> None:
        """Do this once at the step."""
        owner: Any = importlib.import_module(self.module)
        *path, name = self.function.split(".")
        for part in path:
            owner = getattr(owner, part)
        original = getattr(owner, name)
        acted = False

        def act_once() -> None:
            nonlocal acted
            if not acted:
                acted = True
                act()

        def rigged(*args: Any, **kwargs: Any) -> Any:
            if self.when == "before":
                act_once()
            answer = original(*args, **kwargs)
            if self.when == "after":
                act_once()
            return answer

        setattr(owner, name, rigged)


def _work(settings: Settings, step: Step | None, number: int, drains: int) -> None:
    if step is not None:
        step.rig(lambda: os.kill(os.getpid(), number))
    worker = Worker(settings, f"puppet {os.getpid()}")
    for _ in range(drains):
        worker.drain()
    worker.close()


class Puppets:
    """Starts puppets, and ends all that are left."""

    def __init__(self, settings: Settings, fork: ForkServerContext) -> None:
        self._settings, self._fork = settings, fork
        self._started: list[BaseProcess] = []

    def start(
        self, step: Step | None = None, number: signal.Signals = signal.SIGKILL, drains: int = 1, **settings: Any
    ) -> BaseProcess:
        """Have a worker drain; at the step it sends itself the signal."""
        own = self._settings.model_copy(update=settings)
        process = self._fork.Process(target=_work, args=(own, step, number, drains), daemon=True)
        process.start()
        self._started.append(process)
        return process

    def die(self, step: Step | None, **settings: Any) -> None:
        """Have a worker drain until it kills itself at the step. Fails if it never comes there."""
        process = self.start(step, **settings)
        process.join(20)
        assert process.exitcode == -signal.SIGKILL, f"it did not die {step}, but ended with {process.exitcode}"

    def pause(self, step: Step, **settings: Any) -> BaseProcess:
        """Have a worker drain until it stops itself at the step. Fails if it never comes there."""
        process = self.start(step, signal.SIGSTOP, **settings)
        eventually(lambda: not process.is_alive() or is_stopped(process), f"it stopped {step}")
        assert process.is_alive(), f"it did not stop {step}, but ended with {process.exitcode}"
        return process

    def close(self) -> None:
        """Kill what is left."""
        for process in self._started:
            process.kill()
            process.join(5)
            process.close()


def go_on(process: BaseProcess) -> None:
    """Let a paused process go on to its end."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join(20)
    assert process.exitcode is not None, "it did not end after its pause"


def is_stopped(process: BaseProcess) -> bool:
    """Whether the process is stopped by a signal; needs Linux's /proc."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

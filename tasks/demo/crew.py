"""The crew: two real Celery workers, which can be killed, replaced and looked after; and Flower, if somebody stays."""

import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from celery import Celery

from worker.errors import ConfigurationError, OnelaneError
from worker.settings import Settings
from worker.supervisor import Child, stop_all
from worker.up import CELERY, Flower, worker_command

WORKERS = 2
START_SECONDS = 60.0
FLOWER_PORT = 5555
QUIETLY = ("sh", "-c", 'exec "$@" >>"$0" 2>&1')
"""What Celery says goes into a file: the terminal is for the story."""


class Worker(Child):
    """One Celery worker: its main process and its pool's one child, in a process group of their own."""

    def __init__(self, name: str, settings: Settings) -> None:
        command = _logged(settings, worker_command(settings, f"{name}@%h"))
        super().__init__(name, command, _environment(settings))

    def freeze(self) -> None:
        """Stop both processes where they are."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End both at once, as a power cut would."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, number)


class Crew:
    """The workers, and what looks after them."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings, self._say = settings, say
        self.workers: list[Worker] = []
        self._numbers = count(1)
        self._flower: list[Child] = []

    def start(self, tasks: str = "tasks") -> None:
        """Start the workers, with the modules whose job kinds they know."""
        settings = self._settings.model_copy(update={"tasks": tasks})
        self.workers = [Worker(f"worker{next(self._numbers)}", settings) for _ in range(WORKERS)]
        for worker in self.workers:
            worker.start()

    def start_flower(self) -> Flower:
        """Start Flower, on its usual port if that is free."""
        flower = _flower()
        command = _logged(self._settings, [*CELERY, "flower"])
        child = Child("Flower", command, {**_environment(self._settings), **flower.environment()})
        child.start()
        self._flower = [child]
        return flower

    def await_ready(self) -> None:
        """Wait until all workers answer. Raises OnelaneError when they don't."""
        control = Celery("onelane-demo", broker=self._settings.broker, set_as_current=False).control
        deadline = time.monotonic() + START_SECONDS
        while len(control.ping(timeout=0.2)) < len(self.workers):
            self.look_after()
            if time.monotonic() > deadline:
                raise OnelaneError(f"The workers did not start:\n{_last_words(self._settings)}")

    def look_after(self) -> None:
        """Start again who has died."""
        for child in (*self.workers, *self._flower):
            if sentence := child.look_after():
                self._say(sentence)

    def deploy(self, tasks: str) -> None:
        """Replace the workers, as a rolling deploy does, by those of a release that knows other kinds."""
        old = self.workers
        self.start(tasks)
        for name in stop_all(old):  # they finish what they have begun
            self._say(f"{name} did not stop and was killed.")
        self.await_ready()

    def stop(self) -> None:
        """End everything at once: what they work on goes with the stage."""
        for child in (*self.workers, *self._flower):
            child.wait(deadline=0)


def _environment(settings: Settings) -> dict[str, str]:
    """Exactly these settings, whatever the environment says; temporary files of a killed worker go with the rest."""
    own = {f"ONELANE_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**os.environ, "TMPDIR": str(settings.data_dir), **own}


def _logged(settings: Settings, command: Sequence[str]) -> list[str]:
    return [*QUIETLY, str(_log(settings)), *command]


def _log(settings: Settings) -> Path:
    return settings.data_dir / "workers.log"


def _last_words(settings: Settings) -> str:
    log = _log(settings)
    return log.read_text(errors="replace")[-2000:] if log.is_file() else "they said nothing."


def _flower() -> Flower:
    try:
        return Flower.on(FLOWER_PORT)
    except ConfigurationError:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        return Flower.on(port)

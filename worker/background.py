"""Background work of a worker's main process: a thread that takes one turn after the other, beside Celery's event loop.

Whatever goes wrong in a turn is logged, and the next one tries again: if such a thread ended, nobody would miss it
until it was needed. It keeps no process from ending.
"""

import logging
import threading
from collections.abc import Callable

AFTER_ERROR_SECONDS = 10.0

log = logging.getLogger(__name__)


class Background:
    """A thread. `turn` says how long to rest after it, in s; `end` is called when it was stopped, in the thread too."""

    def __init__(self, name: str, turn: Callable[[], float], end: Callable[[], object]) -> None:
        self._name, self._turn, self._end = name, turn, end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin with the first turn."""
        self._thread.start()

    def stop(self, wait_seconds: float, wake: Callable[[], object] = lambda: None) -> None:
        """Take no other turn; wait so long for the one that is under way, and for the end. `wake` cuts a turn short."""
        self._stopped.set()
        wake()
        self._thread.join(wait_seconds)

    @property
    def is_stopped(self) -> bool:
        """Whether it shall take no other turn."""
        return self._stopped.is_set()

    def _run(self) -> None:
        rest = 0.0
        while not self._stopped.wait(rest):
            try:
                rest = self._turn()
            except Exception:
                rest = AFTER_ERROR_SECONDS
                log.exception("%s has failed, and tries again in %g s.", self._name, rest)
        self._end()

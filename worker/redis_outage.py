"""The outage of Redis itself: all incidents live in Redis, but this one has to be told while it is away.

Each worker's sentinel sees it, and one of them tells. Two locks that end with their holder decide who: a file in the
data directory (one a host), then an advisory lock in PostgreSQL (one in all). While PostgreSQL is away too, one a host
tells; where no file can be locked either, each process: better twice than not at all. Its memory is the process's own:
if that dies, another one tells once more.
"""

import fcntl
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from worker.alerts import Alert, State
from worker.database import connect
from worker.errors import SpoolUnusable
from worker.query import query
from worker.recipient import Recipient
from worker.settings import Settings
from worker.spool import Spool

log = logging.getLogger(__name__)


class RedisOutage:
    """Follows one outage after the other. `stay_over_seconds`: one that came back so soon was never over."""

    def __init__(self, settings: Settings, people: Sequence[Recipient], stay_over_seconds: float) -> None:
        self._settings, self._people, self._stay_over_seconds = settings, people, stay_over_seconds
        self._lock: int | None = None
        self._connection: psycopg.Connection | None = None
        self._since = 0
        self._looks = 0
        self._fine_since: float | None = None
        self._told: list[Recipient] = []

    def goes_on(self, error: Exception) -> None:
        """Redis did not answer. It is told at the second time: a lost connection is no outage."""
        self._fine_since = None
        self._since = self._since or time.time_ns() // 1000
        self._looks += 1
        if self._looks > 1 and self._is_ours():
            text = f"Redis can't be used ({type(error).__name__}): jobs wait{self._spooled()}"
            untold = [person for person in self._people if person not in self._told]
            self._told += [person for person in untold if person.tell(self._alert("begun", text))]

    def _spooled(self) -> str:
        try:
            waiting = Spool(self._settings.data_dir).size()
        except SpoolUnusable as error:
            return f". {error}"
        spooled = f" {waiting:,} bytes of jobs wait in this host's spool." if waiting else ""
        return f", new ones go to the spool.{spooled}"

    def is_over(self) -> None:
        """Redis has answered."""
        if not self._since:
            return
        self._fine_since = self._fine_since or time.monotonic()
        if time.monotonic() - self._fine_since >= self._stay_over_seconds:
            over = self._alert("over", "Redis can be used again; waiting jobs go on by themselves.")
            self._told = [person for person in self._told if not person.tell(over)]
            if not self._told:
                self.forget()

    def forget(self) -> None:
        """Free the locks."""
        self._since = self._looks = 0
        if self._lock is not None:
            os.close(self._lock)
        if self._connection is not None:
            self._connection.close()
        self._lock = self._connection = None

    def _alert(self, state: State, text: str) -> Alert:
        return Alert(state, "outage:redis", text, self._since, "onelane health", self._looks)

    def _is_ours(self) -> bool:
        if not self._people:
            return False
        try:
            if self._lock is None:
                self._lock = _locked(self._settings.data_dir)
        except BlockingIOError:
            return False
        except OSError as error:
            log.warning("Who of this host tells of the outage is not known: %s.", error)
        return self._is_ours_in_all()

    def _is_ours_in_all(self) -> bool:
        if self._connection is not None:
            return True
        with suppress(psycopg.Error):
            connection = connect(self._settings, name="onelane-redis-outage")
            taken = connection.execute(query("outage_lock"), {"prefix": self._settings.prefix}).fetchone()
            if not taken or not taken[0]:
                connection.close()
                return False
            self._connection = connection
        return True


def _locked(directory: Path) -> int:
    """A lock in the directory. Raises BlockingIOError when another process has it; OSError when there can be none."""
    directory.mkdir(parents=True, exist_ok=True)
    file = os.open(directory / "outage.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return file

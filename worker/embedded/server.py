"""One server process in one data directory: started, awaited, killed, restarted, stopped.

Three mechanisms keep this safe:

- **One server a directory.** The server inherits an open file with a lock (flock) on it, and so does the program that
  makes its data. The kernel holds the lock as long as any process of the server lives, a PostgreSQL backend that
  outlives its postmaster too. So a restart after a SIGKILL, or a second `onelane up`, waits until the last of them is
  gone; no pid file can lie.
- **It ends with us.** On Linux `setpriv --pdeathsig` has the kernel stop the server as soon as the thread that started
  it is gone, even by SIGKILL. Elsewhere a killed parent leaves the server running; the next start then says so.
  Start servers in a thread that lives as long as they shall.
- **Ctrl-C is ours.** The server has a session of its own, so a Ctrl-C in the terminal reaches us alone, and we stop the
  workers before their services.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from worker.errors import ConfigurationError

START_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01
SOCKET_PATH_LIMIT = 100
"""The kernel takes 107 bytes on Linux and 103 on macOS for the path of a socket."""


class Server(ABC):
    """A server process with its data directory; made by `start_redis` and `start_postgres`."""

    name: str
    """What people call it."""
    stop_signal: signal.Signals
    """Ends the server in good order, without waiting for its clients."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of the server."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server is ready for clients."""

    def prepare(self, lock: IO[str]) -> None:  # noqa: B027 - Redis needs nothing
        """Make what the server starts from, while nobody else is in the directory. Raises ConfigurationError."""

    @property
    def pid(self) -> int:
        """The process id, of the last start when it doesn't run. Raises ConfigurationError before the first."""
        if self._process is None:
            raise ConfigurationError(f"{self.name} was not started yet.")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        """What the server says, appended over all its starts."""
        return self.data_dir / "server.log"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises ConfigurationError when another server uses the directory, or when this one does not come up.
        """
        deadline = time.monotonic() + START_SECONDS
        with (self.data_dir / "lock").open("a") as lock, self.log_file.open("ab") as log:
            self._take(lock, deadline)
            self.prepare(lock)
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        while not self.answers():
            if not self.running:
                raise ConfigurationError(f"{self.name} did not start in {self.data_dir}: {self._last_words()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ConfigurationError(
                    f"{self.name} gave no answer within {START_SECONDS:.0f} s; see {self.log_file}."
                )
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop the server in good order; with SIGKILL if it takes longer than `STOP_SECONDS`. Safe to call again."""
        if not self.running:
            return
        self._signal(self.stop_signal)
        try:
            self._wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server with SIGKILL, as a power cut would."""
        self._signal(signal.SIGKILL)
        self._wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start it again on the same data and URL; stop it first if it runs."""
        self.stop()
        self.start()

    def _take(self, lock: IO[str], deadline: float) -> None:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"Another {self.name} runs in {self.data_dir}; stop it, or choose another directory."
                    ) from None
                time.sleep(POLL_SECONDS)
            else:
                return

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _wait(self, seconds: float) -> None:
        if self._process is not None:
            self._process.wait(seconds)

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it said nothing, see {self.log_file}"


def dies_with_parent(command: Sequence[str], stop_signal: signal.Signals, *privileges: str) -> list[str]:
    """The command, stopped by the kernel when the calling thread ends; unchanged where there is no `setpriv`."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    if setpriv is None:
        return list(command)
    return [setpriv, f"--pdeathsig={stop_signal.name.removeprefix('SIG')}", *privileges, "--", *command]


def socket_dir(data_dir: Path, socket_name: str) -> Path:
    """The directory for a socket: the data directory, or a private short one where its path would be too long."""
    if len(os.fsencode(data_dir / socket_name)) <= SOCKET_PATH_LIMIT:
        return data_dir
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"onelane-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    return short

"""`onelane` as a person runs it: a process of its own, in a directory."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ONELANE = str(Path(sys.executable).with_name("onelane"))
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class Done:
    """What a command has said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer of a command with --json."""
        return json.loads(self.out)


class Onelane:
    """Runs commands in one directory."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ONELANE_", "FLOWER_"))}
        self.environment = {**clean, "NO_COLOR": "1", "COLUMNS": "200", **environment}

    def with_settings(self, **environment: str) -> "Onelane":
        """The same with other settings."""
        return Onelane(self.directory, **{**self.environment, **environment})

    def __call__(self, *words: str, stdin: str | bytes = "") -> Done:
        """Run one command to its end."""
        return Command(self, words, stdin.encode() if isinstance(stdin, str) else stdin).done()

    def side_by_side(self, *commands: Sequence[str]) -> list[Done]:
        """Run commands that have nothing to do with each other at the same time."""
        begun = [Command(self, words) for words in commands]
        return [command.done() for command in begun]

    def start(self, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command that goes on; in a session of its own, as a terminal would."""
        out = (log or self.directory / "log").open("ab")
        with out:
            return subprocess.Popen(
                [ONELANE, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=self.environment,
                start_new_session=True,
            )

    def services(self) -> Mapping[str, str]:
        """The URLs that a running `onelane up` tells."""
        found: Mapping[str, str] = json.loads((self.directory / ".onelane" / "services.json").read_text())
        return found


class Command:
    """One command that is at work; see tests/acceptance/forks.py."""

    def __init__(self, onelane: Onelane, words: Sequence[str | bytes], stdin: bytes = b"") -> None:
        self._folder = TemporaryDirectory()
        self._streams = [Path(self._folder.name, name) for name in ("in", "out", "err")]
        for stream in self._streams:
            stream.write_bytes(stdin if stream.name == "in" else b"")
        asked = {
            "script": ONELANE,
            "words": [os.fsdecode(word) for word in words],
            "directory": str(onelane.directory),
            "environment": onelane.environment,
            "streams": [str(stream) for stream in self._streams],
        }
        self._server = socket.socket(socket.AF_UNIX)
        self._server.settimeout(60)
        self._server.connect(forks())
        self._server.sendall(json.dumps(asked).encode() + b"\n")

    def done(self) -> Done:
        """Wait for its end."""
        with self._folder, self._server:
            code = int(self._server.recv(16))
            _, out, err = (stream.read_text() for stream in self._streams)
        return Done(code, out, err)


@cache
def forks() -> str:
    """The socket of the server that forks; it is started when it is first needed."""
    place = TemporaryDirectory()
    atexit.register(place.cleanup)
    path = f"{place.name}/socket"
    command = [sys.executable, "-m", "tests.acceptance.forks", path]
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    atexit.register(server.communicate)
    atexit.register(server.terminate)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return path


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look until there is something to see, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.02)


def processes_of(directory: Path) -> dict[int, str]:
    """The living processes that were started for this directory, with their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if command and (str(directory) in command or str(directory) in environment):
            found[int(process.name)] = command
    return found


def interrupt(process: subprocess.Popen[bytes]) -> int:
    """Press Ctrl-C, and wait for the end."""
    process.send_signal(signal.SIGINT)
    return process.wait(PATIENCE_SECONDS)

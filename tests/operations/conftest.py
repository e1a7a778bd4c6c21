"""Settings on real services of a test's own, real workers, and a real HTTP receiver for what is sent to people."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from worker.settings import Settings
from worker.up import worker_command

ROOT = Path(__file__).parents[2]


class Receiver:
    """An HTTP server that keeps what it is sent; `status` is its answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refused = 0
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.messages.append(json.loads(body))
                else:
                    receiver.refused += 1
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def titles(self) -> list[str]:
        """Of the messages, in the order of their arrival."""
        return [message["title"] for message in self.messages]

    @property
    def url(self) -> str:
        """As apprise wants it."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of alerts."""
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def settings(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings for a partition and a database of this test's own."""
    return Settings(
        redis_url=redis_url,
        database_url=database_url,
        prefix=prefix,
        effects_stream=f"{prefix}:effects",
        data_dir=tmp_path,
    )


def environment(settings: Settings) -> dict[str, str]:
    """The variables that give a process these settings."""
    named = {f"ONELANE_{name.upper()}": str(value) for name, value in settings.model_dump().items()}
    return {**os.environ, **named}


def start(command: list[str], settings: Settings, output: IO[bytes], **more: str) -> subprocess.Popen[bytes]:
    """Start a process with these settings, in a session of its own."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**environment(settings), **more},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


@contextmanager
def running(command: list[str], settings: Settings, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these settings, until the block ends."""
    with log.open("ab") as output:
        process = start(command, settings, output, **more)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_worker(settings: Settings, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker."""
    with running(worker_command(settings, "w@%h"), settings, log, **more) as process:
        yield process


@contextmanager
def hanging(*pids: int) -> Iterator[None]:
    """Processes, and all that they have started, stand still until the block ends."""
    tree = [p for pid in pids for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    for process in tree:
        process.suspend()
    try:
        yield
    finally:
        for process in reversed(tree):
            process.resume()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What the condition answers, as soon as that is true. Fails when the time is over first."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return answer

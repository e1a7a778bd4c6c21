"""Real workers as processes, on a partition and a database of a test's own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from worker import Client
from worker.heartbeat import Heartbeat
from worker.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PATIENCE_SECONDS = 30.0


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds; a failure says what didn't."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"still not after {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.01)


class Live:
    """A client, and as many workers as a test starts."""

    def __init__(self, redis_url: str, database_url: str, prefix: str, directory: Path, **variables: str) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ONELANE_", "TRIAGE_"))},
            "ONELANE_REDIS_URL": redis_url,
            "ONELANE_DATABASE_URL": database_url,
            "ONELANE_PREFIX": prefix,
            "ONELANE_EFFECTS_STREAM": f"{prefix}:effects",
            "ONELANE_DATA_DIR": str(directory / "data"),
            **variables,
        }
        self.client = Client(
            Settings(
                redis_url=redis_url,
                database_url=database_url,
                prefix=prefix,
                effects_stream=f"{prefix}:effects",
                data_dir=directory / "data",
            )
        )
        self._log = directory / "workers.log"
        self._workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> "subprocess.Popen[bytes]":
        """One worker more; when this ends, workers are at work."""
        number = len(self._workers)
        command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "-l", "WARNING", "-n", f"w{number}@%h"]
        with self._log.open("ab") as log:
            worker = subprocess.Popen(
                command, env=self.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        self._workers.append(worker)
        self.client.enqueue(Heartbeat(), actor="test").wait(PATIENCE_SECONDS)
        return worker

    def kill(self, worker: "subprocess.Popen[bytes]") -> None:
        """SIGKILL to it and its child."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `onelane` to its end."""
        return subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )

    def await_quiet(self) -> None:
        """Wait until all jobs have ended, and what follows from them, and what follows from that."""
        with psycopg.connect(self.client.settings.database_url, autocommit=True) as connection:

            def is_quiet() -> bool:
                waiting = self.client.redis.hlen(self.client.keys.named("pending"))
                return waiting == 0 and connection.execute("SELECT FROM onelane.outbox").fetchone() is None

            eventually(lambda: is_quiet() and is_quiet() and is_quiet(), "all jobs have ended")

    def log(self) -> str:
        """What the workers have said."""
        return self._log.read_text()

    def close(self) -> None:
        """Kill what runs."""
        for worker in self._workers:
            if worker.poll() is None:
                self.kill(worker)
        self.client.redis.close()

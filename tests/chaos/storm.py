"""A storm: real workers and servers are killed, paused and cut off at random, while jobs come in.

Everything happens in one thread, in an order that a seed decides, so the workers are looked after at every moment: one
that has died is started again at once, whatever the storm waits for.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import psycopg
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.conftest import Stand
from tests.operations.conftest import start
from worker.settings import Settings
from worker.up import worker_command

WORKERS = 2
CALM_SECONDS = 60.0
STOP_SECONDS = 30.0


class Crew:
    """Celery workers, each with a name of its own, started again whenever they die."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._settings = settings
        self._log = log.open("ab")
        self.workers = [self._start(number) for number in range(WORKERS)]

    def look_after(self) -> None:
        """Start those that have died again; what they left behind goes on until it notices."""
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = self._start(number)

    def stop(self) -> list[int]:
        """Ask all to end; their exit codes. Whoever does not is killed, and the test fails."""
        for worker in self.workers:
            os.killpg(worker.pid, signal.SIGCONT)
            worker.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        return [worker.wait(max(0.0, deadline - time.monotonic())) for worker in self.workers]

    def close(self) -> None:
        """Leave no process behind, whatever has happened."""
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        self._log.close()

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        return start(worker_command(self._settings, f"w{number}@%h"), self._settings, self._log)


class Storm:
    """What can go wrong, one thing at a time; each leaves the servers running."""

    def __init__(self, stand: Stand, crew: Crew, random: Random) -> None:
        self._stand, self._crew, self._random = stand, crew, random
        self.blows: list[str] = []
        """What has happened so far."""

    def blow(self) -> None:
        """One thing goes wrong."""
        things: list[Callable[[], None]] = [
            self.kill_worker,
            self.kill_pool_process,
            self.pause_worker,
            self.end_worker,
            self.cut_sessions,
            self.cut_clients,
            self.kill_postgres,
            self.kill_redis,
            self.pause_redis,
        ]
        thing = self._random.choice(things)
        self.blows.append(thing.__name__)
        thing()

    def kill_worker(self) -> None:
        """Its pool's process is left without a parent."""
        self._crew.workers[self._random.randrange(WORKERS)].kill()

    def kill_pool_process(self) -> None:
        """Celery's main process starts another one."""
        worker = self._crew.workers[self._random.randrange(WORKERS)]
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(worker.pid).children():
                process.kill()

    def pause_worker(self) -> None:
        """For longer than its lease, or not quite as long."""
        worker = self._crew.workers[self._random.randrange(WORKERS)]
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGSTOP)
            self.wait(self._random.uniform(0.2, 2.0))
            os.killpg(worker.pid, signal.SIGCONT)

    def end_worker(self) -> None:
        """As a deployment does."""
        self._crew.workers[self._random.randrange(WORKERS)].terminate()

    def cut_sessions(self) -> None:
        """PostgreSQL ends the sessions of all workers."""
        with psycopg.connect(self._stand.postgres.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'onelane%'"
            )

    def cut_clients(self) -> None:
        """Redis ends all its connections, the broker's too."""
        with Redis.from_url(self._stand.redis.url) as client, suppress(RedisError):
            client.execute_command("CLIENT", "KILL", "SKIPME", "yes")  # type: ignore[no-untyped-call]  # redis-py's

    def kill_postgres(self) -> None:
        """And it recovers."""
        self._stand.postgres.kill()
        self.wait(self._random.uniform(0, 0.5))
        self._stand.postgres.start()

    def kill_redis(self) -> None:
        """And it reads its file again."""
        self._stand.redis.kill()
        self.wait(self._random.uniform(0, 0.5))
        self._stand.redis.start()

    def pause_redis(self) -> None:
        """For longer than anybody waits for it."""
        os.kill(self._stand.redis.pid, signal.SIGSTOP)
        self.wait(self._random.uniform(0.5, 1.5))
        os.kill(self._stand.redis.pid, signal.SIGCONT)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._crew.look_after()
            time.sleep(0.02)

    def calm_down(self, quiet: Callable[[], bool]) -> None:
        """Nothing goes wrong any more, until it is quiet."""
        deadline = time.monotonic() + CALM_SECONDS
        while not quiet():
            assert time.monotonic() < deadline, f"not quiet {CALM_SECONDS:g} s after the storm: {self.blows}"
            self.wait(0.1)

"""A process that replays everything, and is killed right before one of its steps.

A step is any call that reaches PostgreSQL or Redis. The process is forked from one that has loaded everything, as
loading takes longer than replaying.
"""

import multiprocessing
import os
import signal
from typing import Any

import psycopg
from redis.client import Pipeline

from worker.database import connect
from worker.dead_letters import Filter
from worker.dead_letters.drive import Drive
from worker.redis_client import redis_client
from worker.settings import Settings


class Countdown:
    """Kills the process at the step that was asked for."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def before(self, owner: Any, name: str) -> None:
        """Count each call of a method."""
        method = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return method(*args, **kwargs)

        setattr(owner, name, counted)


def replay_until_killed(settings: Settings, steps: int) -> int | None:
    """Replay in a process that kills itself after so many steps; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_replay, args=(settings, steps), daemon=True)
    process.start()
    process.join(60)
    return process.exitcode


def _replay(settings: Settings, steps: int) -> None:
    countdown = Countdown(steps)
    with connect(settings) as connection, redis_client(settings) as redis:
        redis.ping()
        countdown.before(psycopg.Cursor, "execute")
        countdown.before(psycopg.Transaction, "__exit__")
        countdown.before(Pipeline, "execute")
        drive = Drive(settings, connection, redis)
        drive.run(Filter(), actor="ada", reason=None, force=False)

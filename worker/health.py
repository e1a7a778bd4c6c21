"""Health: whether jobs get done, and what to do when they don't.

Each probe runs in a thread of its own and has to answer in time; one whose service hangs is reported, not waited for.
The proof of progress is a heartbeat: a job that goes all the way from enqueue to commit.

    green      all is well
    degraded   jobs get done, but somebody should look
    down       jobs don't get done
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import psycopg
from redis.exceptions import RedisError

from worker.client import Client
from worker.database import connect, require_usable, unreachable
from worker.errors import ConfigurationError, OnelaneError
from worker.heartbeat import Heartbeat
from worker.lane import Keys
from worker.migrate import verify
from worker.query import query
from worker.redis_client import redis_client
from worker.redis_client import require_usable as require_usable_redis
from worker.settings import Settings
from worker.spool import Spool

State = Literal["green", "degraded", "down"]
ORDER: tuple[State, ...] = ("green", "degraded", "down")

DEADLINE_SECONDS = 1.7
BEAT_SECONDS = 1.2
"""How long a heartbeat may take; a drain that lingers answers in some ms."""
BEAT_WINDOW_SECONDS = 10
"""One heartbeat serves all who ask within so long."""
LAG_SECONDS = 10.0
MEMORY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: how it is, in words, and what to do about it."""

    name: str
    state: State
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How it is altogether: as bad as the worst of the checks."""

    checks: list[Check]
    seconds: float

    @property
    def state(self) -> State:
        """The worst state."""
        return max((check.state for check in self.checks), key=ORDER.index)


@dataclass(slots=True)
class _Probe:
    name: str
    ask: Callable[[], Iterator[Check]]
    checks: list[Check] = field(default_factory=list)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"health-{self.name}", daemon=True)
        self.thread.start()

    def answer(self, deadline: float) -> list[Check]:
        if self.thread is not None:
            self.thread.join(max(0.0, deadline - time.monotonic()))
            if self.thread.is_alive():
                late = f"gave no answer within {DEADLINE_SECONDS:g} s"
                return [Check(self.name, "down", late, "Look at the service and at the network between.")]
        return self.checks

    def _run(self) -> None:
        try:
            self.checks = list(self.ask())
        except ConfigurationError as error:
            self.checks = [Check(self.name, "down", str(error))]
        except (RedisError, OnelaneError, psycopg.Error, OSError) as error:
            self.checks = [Check(self.name, "down", f"can't be asked ({type(error).__name__})")]


def health(settings: Settings) -> Health:
    """Look at everything, within two seconds."""
    began = time.monotonic()
    probes = [
        _Probe(name, partial(ask, settings))
        for name, ask in {
            "redis": _redis,
            "lanes": _lanes,
            "postgresql": _postgresql,
            "backlog": _backlog,
            "consistency": _consistency,
            "workers": _workers,
            "spool": _spool,
        }.items()
    ]
    for probe in probes:
        probe.start()
    checks = [check for probe in probes for check in probe.answer(began + DEADLINE_SECONDS)]
    return Health(checks, time.monotonic() - began)


def _redis(settings: Settings) -> Iterator[Check]:
    with redis_client(settings) as redis:
        require_usable_redis(redis)
        info: Any = redis.info()
    if not info.get("aof_enabled"):
        yield Check(
            "redis",
            "degraded",
            "keeps no append-only file: a crash loses jobs",
            "Set appendonly yes and appendfsync always.",
        )
    limit, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if limit and used > MEMORY_SHARE * limit:
        text = f"uses {used / limit:.0%} of its memory"
        yield Check("redis memory", "degraded", text, "Raise maxmemory; when it is full, jobs go to the spool.")
    yield Check("redis", "green", f"answers, version {info['redis_version']}, {used / 1e6:.0f} MB")


def _lanes(settings: Settings) -> Iterator[Check]:
    keys, now = Keys(settings.prefix), time.time_ns() // 1000
    with redis_client(settings) as redis:
        oldest: Any = redis.zrange(keys.named("ready"), 0, 0, withscores=True)
        parked: Any = redis.zcount(keys.named("ready"), f"({now}", "+inf")
        held: Any = redis.hlen(keys.named("held"))
        incidents: Any = redis.hkeys(keys.named("incidents"))
    age = (now - oldest[0][1]) / 1_000_000 if oldest else 0.0
    if age > settings.oldest_seconds:
        text = f"the oldest ready lane waits for {age:.0f} s"
        yield Check("oldest lane", "degraded", text, "See `onelane lanes`; add workers, or look why they don't come.")
    if held:
        yield Check("held lanes", "degraded", f"{held} held", "See `onelane lanes`, then `onelane lane resume NAME`.")
    if incidents:
        names = ", ".join(sorted(name.decode() for name in incidents)[:5])
        yield Check("incidents", "degraded", f"not over: {names}", "They end by themselves when their cause is gone.")
    yield Check("lanes", "green", f"{parked} parked")


def _postgresql(settings: Settings) -> Iterator[Check]:
    require_usable(settings)
    try:
        with connect(settings, name="onelane-health") as connection:
            lag = connection.execute("SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication").fetchone()
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        yield Check("postgresql", "down", unreachable(settings, error))
        return
    if lag and lag[0] and lag[0] > LAG_SECONDS:
        yield Check("replication", "degraded", f"a replica is {lag[0]:.0f} s behind", "Look at the replica.")
    yield Check("postgresql", "green", f"answers, version {version}, migrated")


def _backlog(settings: Settings) -> Iterator[Check]:
    with connect(settings, name="onelane-health") as connection:
        outbox, dead = connection.execute(query("backlog")).fetchone() or (0, 0)
    if dead:
        yield Check(
            "dead letters", "degraded", f"{dead} wait", "See `onelane dead stats`; mend the cause, then replay."
        )
    yield Check("backlog", "green", f"{outbox} rows in the outbox")


def _consistency(settings: Settings) -> Iterator[Check]:
    found = verify(settings.require_database(), settings.task_modules)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield Check("consistency", "degraded", f"{found[0]}{more}", "See `onelane migrate verify`.")
    else:
        yield Check("consistency", "green", "the tables hold to their rules")


def _workers(settings: Settings) -> Iterator[Check]:
    client = Client(settings)
    beat = f"heartbeat:{int(time.time()) // BEAT_WINDOW_SECONDS}"
    began = time.monotonic()
    try:
        client.enqueue(Heartbeat(), actor="health", id=beat)
        client.wait(beat, BEAT_SECONDS)
    except OnelaneError:
        text = f"no worker has applied a heartbeat within {BEAT_SECONDS:g} s"
        yield Check("workers", "down", text, "Start workers with `onelane worker`; if they run, read their logs.")
    else:
        yield Check("workers", "green", f"a heartbeat was applied in {(time.monotonic() - began) * 1000:.0f} ms")


def _spool(settings: Settings) -> Iterator[Check]:
    size = Spool(settings.data_dir).size()
    if size:
        text = f"{size} bytes of jobs wait for Redis on this host"
        yield Check("spool", "degraded", text, "They are sent with the next enqueue, or by `onelane spool flush`.")
    else:
        yield Check("spool", "green", "empty")

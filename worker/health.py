"""Health: whether jobs get done, and what to do when they don't.

Each service is asked by a probe, so one that hangs is reported, not waited for. The proof of progress is a heartbeat: a
job that goes all the way from enqueue to commit. While one waits no second one is made, and the ledger keeps only the
newest; who asks again within a few seconds gets the same answer. So asking often costs little.

    green      all is well
    degraded   jobs get done, but somebody should look
    down       jobs don't get done
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import psycopg
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from worker.alerts import Alerts
from worker.bell import ring
from worker.client import Client
from worker.database import connect, unreachable
from worker.enqueue import enqueue, order
from worker.envelope import decode
from worker.errors import ConfigurationError, NoOutcome, OnelaneError
from worker.heartbeat import LANE, Heartbeat
from worker.lane import Keys
from worker.lane_book import LaneBook
from worker.migrate import verify
from worker.probe import Late, Probe, answer_of
from worker.query import query
from worker.redis_client import redis_client
from worker.settings import Settings
from worker.spool import Spool

State = Literal["green", "degraded", "down"]
ORDER: tuple[State, ...] = ("green", "degraded", "down")

DEADLINE_SECONDS = 1.4
BEAT_SECONDS = 1.0
"""How long a heartbeat may take; a drain that lingers answers in some ms."""
BEAT_WINDOW_SECONDS = 10
"""One heartbeat serves all who ask within so long."""
FRESH_SECONDS = 3.0
LAG_SECONDS = 10.0
MEMORY_SHARE = 0.9
INCIDENTS_SEEN_HERE = ("dead", "held", "oldest", "consistency")
"""What a check of its own looks at, and knows better than the last sentinel."""


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


class Checkup:
    """Looks at everything, whenever it is asked, within two seconds."""

    def __init__(self, settings: Settings) -> None:
        looks: dict[str, Callable[[Settings], Iterator[Check]]] = {
            "redis": _redis,
            "lanes": _lanes,
            "workers": _workers,
            "postgresql": _postgresql,
            "consistency": _consistency,
            "spool": _spool,
        }
        self._probes = {
            name: Probe(f"onelane-health-{name}", partial(_checks, name, look, settings))
            for name, look in looks.items()
        }
        self._one_at_a_time = threading.Lock()
        self._newest: Health | None = None
        self._fresh_until = 0.0

    def health(self) -> Health:
        """How it is now, or was a moment ago."""
        with self._one_at_a_time:
            if self._newest is None or time.monotonic() >= self._fresh_until:
                self._newest = self._look()
                self._fresh_until = time.monotonic() + FRESH_SECONDS
            return self._newest

    def _look(self) -> Health:
        began = time.monotonic()
        asked = {name: probe.ask() for name, probe in self._probes.items()}
        checks: list[Check] = []
        for name, answer in asked.items():
            try:
                found = answer_of(answer, began + DEADLINE_SECONDS - time.monotonic())
            except Late:
                text = f"gave no answer within {DEADLINE_SECONDS:g} s"
                found = [Check(name, "down", text, "Look at the service and at the network between.")]
            checks += found
        return Health(checks, time.monotonic() - began)


def _checks(name: str, look: Callable[[Settings], Iterator[Check]], settings: Settings) -> list[Check]:
    try:
        return list(look(settings))
    except RedisError as error:
        remedy = "Start Redis; new jobs wait in the spool meanwhile."
        return [Check(name, "down", f"Redis can't be asked ({type(error).__name__})", remedy)]
    except psycopg.Error as error:
        return [Check(name, "down", unreachable(settings, error), "Start it; jobs wait in their lanes meanwhile.")]
    except OnelaneError as error:
        return [Check(name, "down", str(error))]


def _redis(settings: Settings) -> Iterator[Check]:
    with redis_client(settings) as redis:
        info: Any = redis.info()
        policy, fsync = _configured(redis, "maxmemory-policy"), _configured(redis, "appendfsync")
    if not info.get("aof_enabled"):
        text = "keeps no append-only file: a crash loses jobs"
        yield Check("redis durability", "degraded", text, "Set `appendonly yes` and `appendfsync always`.")
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield Check("redis durability", "down", "can't write its append-only file", "Look at its disk and its log.")
    elif fsync not in {"always", None}:
        text = f"writes to disk {fsync}: a crash loses the last jobs"
        yield Check("redis durability", "degraded", text, "Set `appendfsync always`.")
    if policy not in {"noeviction", None}:
        text = f"evicts jobs when its memory is full ({policy})"
        yield Check("redis eviction", "degraded", text, "Set `maxmemory-policy noeviction`.")
    limit, used = int(info.get("maxmemory", 0)), int(info["used_memory"])
    if limit and used > MEMORY_SHARE * limit:
        text = f"uses {used / limit:.0%} of its memory"
        yield Check("redis memory", "degraded", text, "Raise `maxmemory`; when it is full, jobs go to the spool.")
    yield Check("redis", "green", f"answers, version {info['redis_version']}, {used / 1e6:.0f} MB")


def _configured(redis: Redis, name: str) -> str | None:
    """None where a managed Redis hides its configuration; then its operator answers for it."""
    try:
        found: Any = redis.config_get(name)
    except ResponseError:
        return None
    return str(found[name]) if name in found else None


def _lanes(settings: Settings) -> Iterator[Check]:
    keys = Keys(settings.prefix)
    with redis_client(settings) as redis:
        totals = LaneBook(redis, keys).totals()
        incidents = Alerts(redis, keys).open()
    age = time.time() - totals.oldest.timestamp() if totals.oldest is not None else 0.0
    if age > settings.oldest_seconds:
        text = f"the oldest ready lane waits for {age:.0f} s"
        yield Check("oldest lane", "degraded", text, "See `onelane lanes`; add workers, or read their logs.")
    if totals.held:
        yield Check(
            "held lanes", "degraded", f"{totals.held:,} held", "See `onelane lanes`, then `onelane lane resume NAME`."
        )
    seen_here = {*INCIDENTS_SEEN_HERE, f"spool:{socket.gethostname()}"}
    unseen = [alert for name, alert in incidents.items() if name not in seen_here]
    for alert in sorted(unseen, key=lambda alert: alert.since):
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(alert.since / 1_000_000))
        yield Check("incident", "degraded", f"since {since}: {alert.text}", f"See `{alert.command}`.")
    yield Check("lanes", "green", f"{totals.ready:,} ready, {totals.parked:,} parked")


def _postgresql(settings: Settings) -> Iterator[Check]:
    try:
        with connect(settings, name="onelane-health") as connection:
            standby, lag = connection.execute(query("replication")).fetchone() or (False, None)
            outbox, dead = connection.execute(query("backlog")).fetchone() or (0, 0)
            version = connection.info.server_version // 10_000
    except psycopg.errors.UndefinedTable:
        yield Check("postgresql", "down", "is not migrated", "Run `onelane migrate up`.")
        return
    if standby:
        yield Check("postgresql standby", "down", "can only be read", "Point ONELANE_DATABASE_URL at the primary.")
    if lag is not None and lag > LAG_SECONDS:
        yield Check("replication", "degraded", f"a replica is {lag:.0f} s behind", "Look at the replica.")
    if dead:
        remedy = "See `onelane dead stats`; mend the cause, then replay."
        yield Check("dead letters", "degraded", f"{dead:,} wait", remedy)
    yield Check("outbox", "green", "1 row waits" if outbox == 1 else f"{outbox:,} rows wait")
    yield Check("postgresql", "green", f"answers, version {version}")


def _consistency(settings: Settings) -> Iterator[Check]:
    try:
        found = verify(settings.require_database(), settings.task_modules)
    except ConfigurationError as error:  # a deploy that is half done: whether jobs get done, the workers' check says
        yield Check("consistency", "degraded", str(error))
        return
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        yield Check("consistency", "degraded", f"{found[0]}{more}", "See `onelane migrate verify`.")
    else:
        yield Check("consistency", "green", "the tables are as migrated, and hold to their rules")


def _workers(settings: Settings) -> Iterator[Check]:
    keys, began = Keys(settings.prefix), time.monotonic()
    with redis_client(settings) as redis:
        batches = _batches(redis, keys)
        beaten = True
        try:
            beat = _send_heartbeat(redis, keys, settings)
            Client(settings, redis).wait(beat, began + BEAT_SECONDS - time.monotonic())
        except NoOutcome:
            beaten = False
        alive: Any = redis.zcount(keys.named("workers"), time.time_ns() // 1000, "+inf")
        progressing = _batches(redis, keys) != batches
    running = f"{alive} {'worker' if alive == 1 else 'workers'}"
    if beaten:
        yield Check("workers", "green", f"{running}, a heartbeat went all the way")
    elif progressing:
        text = f"{running} at work, but a heartbeat waits behind other jobs"
        yield Check("workers", "degraded", text, "See `onelane lanes`; more workers shorten the wait.")
    else:
        text = f"{running}, and none has applied a heartbeat within {BEAT_SECONDS:g} s"
        remedy = "See the other lines; if they are green, read the workers' logs." if alive else "Run `onelane worker`."
        yield Check("workers", "down", text, remedy)


def _batches(redis: Redis, keys: Keys) -> Any:
    return redis.hget(keys.named("tally"), "batches")


def _send_heartbeat(redis: Redis, keys: Keys, settings: Settings) -> str:
    """The id of a heartbeat: one that waits already, else a new one. It never goes to the spool."""
    waiting: Any = redis.lindex(keys.lane(LANE), -1)
    if waiting is not None:
        return decode(waiting).id
    beat = f"heartbeat:{int(time.time()) // BEAT_WINDOW_SECONDS}"
    must_ring, _ = enqueue(redis, keys, settings, [order(Heartbeat(), settings, actor="health", job_id=beat)])
    if must_ring:
        ring(settings)
    return beat


def _spool(settings: Settings) -> Iterator[Check]:
    size = Spool(settings.data_dir).size()
    if size:
        text = f"{size:,} bytes of jobs wait for Redis on this host"
        yield Check("spool", "degraded", text, "They are sent with the next enqueue, or by `onelane spool flush`.")
    else:
        yield Check("spool", "green", "empty")

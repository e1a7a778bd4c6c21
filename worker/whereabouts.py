"""Whereabouts: where a job is, and what became of it.

A job moves one way: spool or outbox → lane → ledger. The places are asked in that order, so a job that moves on
meanwhile is met at the next one. Two places may know it at once: it stands in its lane until its end is acknowledged,
and a dead letter's ledger row stays while it is replayed. An end counts most, then the lane.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import psycopg
from psycopg.rows import DictRow, dict_row
from pydantic_core import from_json
from redis import Redis

from worker.database import connect, require_usable, unreachable
from worker.envelope import described
from worker.errors import ConfigurationError, OnelaneError
from worker.lane import Keys
from worker.lane_book import LaneBook, UnknownLane
from worker.query import query
from worker.settings import Settings
from worker.spool import Spool

PAGE = 1000

Place = Literal["spool", "outbox", "lane", "ledger"]


class UnknownJob(OnelaneError):
    """No job of this id waits, and none has ended."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a job is; `facts` are what is known there, by name, in an order for people."""

    id: str
    place: Place
    facts: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self.place == "ledger" and self.facts["status"] != "replaying"


def find_job(settings: Settings, redis: Redis, job_id: str) -> Whereabouts:
    """Where the job is. While PostgreSQL is away, what Redis knows is the answer.

    Raises UnknownJob; ConfigurationError when PostgreSQL is needed and can't be asked; redis.RedisError.
    """
    spooled = find_in_spool(settings, job_id)
    database_away: str | None = None
    outboxed = recorded = None
    try:
        with connect(settings, name="onelane-job") as connection:
            outboxed = _row(connection, "outbox_row", job_id)
            waiting = in_lane(redis, Keys(settings.prefix), job_id)
            recorded = _row(connection, "ledger_row", job_id)
    except psycopg.ProgrammingError:
        require_usable(settings)
        raise
    except psycopg.Error as error:
        database_away = unreachable(settings, error)
        waiting = in_lane(redis, Keys(settings.prefix), job_id)
    if recorded is not None and recorded["status"] != "replaying":
        return Whereabouts(job_id, "ledger", recorded)
    known: tuple[tuple[Place, Mapping[str, Any] | None], ...] = (
        ("lane", waiting),
        ("outbox", outboxed),
        ("ledger", recorded),
    )
    for place, facts in known:
        if facts is not None:
            return Whereabouts(job_id, place, facts)
    if spooled is not None:
        return spooled
    if database_away is not None:
        raise ConfigurationError(database_away)
    raise UnknownJob(f"No job {job_id!r} waits, and none has ended: is the id right, and this its Redis and database?")


def _row(connection: psycopg.Connection, name: str, job_id: str) -> DictRow | None:
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(query(name), {"id": job_id}).fetchone()


def find_in_spool(settings: Settings, job_id: str) -> Whereabouts | None:
    """The job, if it waits in this host's spool; this needs no service."""
    order = Spool(settings.data_dir).find(job_id)
    if order is None:
        return None
    return Whereabouts(job_id, "spool", {**described(b'{"seq":0,' + order.body[1:]), "lane": order.lane})


def in_lane(redis: Redis, keys: Keys, job_id: str) -> Mapping[str, Any] | None:
    """What its lane knows about a job, None when it waits in no lane. Raises redis.RedisError."""
    pending: Any = redis.hget(keys.named("pending"), job_id)
    if pending is None:
        return None
    name = pending.decode().partition(" ")[2]
    position, job = _position(redis, keys.lane(name), job_id)
    try:
        lane = LaneBook(redis, keys).lane(name)
    except UnknownLane:
        return None  # its end came between the looks; the ledger is asked next
    cancelled: Any = redis.hget(keys.named("cancelled"), job_id)
    return {
        **({"lane": name} if job is None else described(job)),
        "position": position,
        "lane_length": lane.jobs,
        "lane_state": lane.state,
        "next_try": lane.due if lane.state in {"parked", "held"} else None,
        "head_attempts": lane.attempts,
        "held": asdict(lane.hold) if lane.hold is not None else None,
        "cancelled": from_json(cancelled) if cancelled is not None else None,
    }


def _position(redis: Redis, lane: str, job_id: str) -> tuple[int | None, bytes | None]:
    """The job's place, 1 = head, and its bytes; None when the lane moved on under the search."""
    wanted = f'"id":"{job_id}"'.encode()
    start = 0
    while True:
        page: Any = redis.lrange(lane, start, start + PAGE - 1)
        for number, job in enumerate(page):
            if wanted in job and described(job).get("id") == job_id:
                return start + number + 1, job
        if len(page) < PAGE:
            return None, None
        start += PAGE

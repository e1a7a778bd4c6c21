"""The relay: what a commit has left in the outbox goes on to Redis: jobs, replays and replies onto their lanes, effects
into the stream.

Rows are deleted in a transaction that commits after they were delivered. If anything fails between, they are delivered
again; each has its id, by which a lane, the ledger and the stream recognize it. One relay works at a time, so the jobs
of a lane keep the order of their rows. It runs after each batch that left something, at the beginning of each drain,
and when the notification of somebody else's transaction rings.
"""

import logging
from collections.abc import Iterable
from typing import Any

from psycopg import Connection
from psycopg.rows import namedtuple_row
from pydantic_core import from_json, to_json
from redis import Redis

from worker.bell import ring
from worker.database import raw_cursor
from worker.enqueue import JOB_ID, Order, enqueue, order
from worker.entry import Entry, dead
from worker.envelope import Envelope
from worker.errors import UnknownKind
from worker.job import parse
from worker.lane import Keys
from worker.query import query
from worker.replies import reply_keys, reply_order
from worker.script import run
from worker.settings import Settings
from worker.transaction import Sync, pipelined_transaction
from worker.verdict import judge

PAGE = 500
SEEN_SECONDS = 7 * 24 * 3600
"""How long the stream remembers the ids of effects."""

FULL = frozenset({"lane_full", "full"})

log = logging.getLogger(__name__)


class Relay:
    """Delivers the outbox of one database to one partition."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis, self._keys, self._settings = redis, keys, settings

    def deliver(self, connection: Connection) -> int:
        """Deliver all that can be; how many rows. A row whose lane is claimed or full stays for the next time.

        Raises psycopg.Error or redis.RedisError; then what was not committed is delivered again.
        """
        delivered, last = 0, 0
        rows: list[Any] = []
        busy: set[str] = set()
        full: set[str] = set()
        while last == 0 or len(rows) == PAGE:
            with pipelined_transaction(connection) as sync:
                connection.execute(query("outbox_lock"), prepare=True)
                connection.execute(query("outbox_async"), prepare=True)
                cursor = raw_cursor(connection)
                cursor.row_factory = namedtuple_row
                cursor.execute(query("outbox_page"), {"after": last, "limit": PAGE}, prepare=True)
                sync()
                rows = list(cursor)
                done = [
                    *self._jobs(connection, sync, rows, full),
                    *self._replays(connection, sync, rows, busy),
                    *self._effects(rows),
                    *self._replies(rows),
                ]
                connection.execute(query("outbox_delivered"), {"ids": to_json(done).decode()}, prepare=True)
            delivered += len(done)
            last = rows[-1].id if rows else -1
        return delivered

    def _jobs(self, connection: Connection, sync: Sync, rows: Iterable[Any], full: set[str]) -> list[int]:
        """Jobs go onto their lanes. What comes for a lane that was `full` in this delivery stays behind too, lest it
        pass those before it.
        """
        orders: list[tuple[int, Order]] = []
        unusable = []
        for row in (r for r in rows if r.topic == "job"):
            try:
                job = parse(row.kind, from_json(row.payload))
                more = {"reason": row.reason, "reply_to": row.reply_to}
                made = order(job, self._settings, actor=row.actor, job_id=row.key, **more)
                if made.lane not in full:
                    orders.append((row.id, made))
            except UnknownKind:
                log.warning("A follow-up of kind %s waits in the outbox for a worker that knows it.", row.kind)
            except Exception as error:  # noqa: BLE001 - a refusal, or a kind's own code, which may raise anything
                _bury(connection, sync, row, error)
                unusable.append(row.id)
        must_ring, words = enqueue(self._redis, self._keys, self._settings, [made for _, made in orders])
        if must_ring:
            ring(self._settings)
        full.update(made.lane for (_, made), word in zip(orders, words, strict=True) if word in FULL)
        return unusable + [row_id for (row_id, _), word in zip(orders, words, strict=True) if word not in FULL]

    def _replays(self, connection: Connection, sync: Sync, rows: Iterable[Any], busy: set[str]) -> list[int]:
        """Dead letters go back into their lanes, all in one script call: nobody claims a lane between two of them.

        A claimed lane is `busy`. Whatever else this delivery finds for it stays behind too, since older jobs of it do.
        """
        replays = [row for row in rows if row.topic == "replay"]
        if not replays:
            return []
        ids = to_json([row.key for row in replays]).decode()
        cursor = connection.execute(query("replay_jobs"), {"ids": ids})
        sync()
        found = cursor.fetchall()
        jobs = {job_id: lane for job_id, lane, *_ in found}
        args: list[str | int | bytes] = []
        for job_id, lane, digest, seq, body in found:
            if lane not in busy:
                args += (lane, job_id, digest, seq, body)
        must_ring, *claimed = run(self._redis, self._keys, "replay", *args)
        busy.update(lane.decode() for lane in claimed)
        if must_ring:
            ring(self._settings)
        return [row.id for row in replays if jobs.get(row.key) not in busy]

    def _effects(self, rows: Iterable[Any]) -> list[int]:
        effects = [row for row in rows if row.topic == "effect"]
        if effects:
            stream = self._settings.effects_stream
            args: list[str | int | bytes] = [self._settings.effects_limit, SEEN_SECONDS * 1_000_000]
            for row in effects:
                payload = to_json(from_json(row.payload))  # without PostgreSQL's blanks
                args += (row.key, row.kind, payload, row.cause or "", row.created_at.isoformat())
            run(self._redis, self._keys, "publish", *args, effects=stream)
        return [row.id for row in effects]

    def _replies(self, rows: Iterable[Any]) -> list[int]:
        replies = [row for row in rows if row.topic == "reply"]
        texts = [from_json(row.payload)["text"] for row in replies]
        made = [
            reply_order(row.key, row.cause, row.reply_to, text, row.created_at)
            for row, text in zip(replies, texts, strict=True)
        ]
        _, words = enqueue(self._redis, reply_keys(self._settings), self._settings, made)
        return [row.id for row, word in zip(replies, words, strict=True) if word not in FULL]


def _bury(connection: Connection, sync: Sync, row: Any, error: Exception) -> None:
    """A follow-up that its own kind refuses is a fault of the statement that wrote it: an operator has to see it."""
    at = int(row.created_at.timestamp() * 1_000_000)
    ended = connection.execute(query("ledger_row"), {"id": row.key})
    sync()
    usable = JOB_ID.fullmatch(row.key) and ended.fetchone() is None
    job_id = row.key if usable else f"outbox:{row.id}"
    payload = from_json(row.payload)
    envelope = Envelope(0, job_id, row.kind, "?", row.actor, row.reason, at, "", payload)
    entry = Entry(to_json(payload), envelope, None, None, 1, at)
    recorded = entry.ledger_row(dead("invalid", judge(error)))
    if row.reply_to is not None:
        replies = to_json([{**recorded, "reply_to": row.reply_to}]).decode()
        connection.execute(query("outbox_replies"), {"rows": replies, "token": 0})
    rows = to_json([recorded]).decode()
    connection.execute(query("record"), {"rows": rows, "newest": "[]", "worker": "relay", "token": 0})

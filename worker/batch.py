"""One batch, one transaction, a handful of round trips: where jobs take effect.

The order of the statements is the safety of the whole system. In one READ COMMITTED transaction, in pipeline mode:

1. Fence. The claim's token is written to the row of each claimed lane, if it is not older than what stands there. From
   here to the commit no other worker can be in one of these lanes; lanes with a newer token are dropped.
2. Known. Jobs that the ledger has already are not applied again (standing.py).
3. Apply, in rounds (rounds.py): for each kind in a round its one set-based statement runs, with its audit and outbox
   rows.
4. Record. One ledger row for each job, and a reply in the outbox for each whose asker waits for one. Commit.

What a crash leaves, point by point: before the commit nothing has happened; after it the ledger knows all jobs of the
batch, so the next claim only acknowledges them. A COMMIT whose reply was lost is one of these two. A worker that was
paused and wakes up inside the transaction still holds the row locks, or has lost its connection; one that wakes up
before the fence finds a newer token. No clock and no lease decides any of this. How long such a worker makes its
successor wait is limited by the server (database.py), but only where the client owes the next word: so each answer is
awaited behind a sync.

Nearly always there is nothing to leave out. So a batch is first applied at once: the statements of step 3 are sent
before the answers of 1 and 2 are there. If that was too bold, all is rolled back, and a second transaction goes step by
step. Where few jobs are in a hurry, the question of step 2 is left to the ledger's key, which refuses what it has.

Any error aborts the whole batch. Whose fault it is shows when it is applied in parts (isolation.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from psycopg import Connection, Cursor, Rollback
from pydantic_core import to_json

from worker import rounds
from worker.entry import End, Entry
from worker.errors import OnelaneError
from worker.query import query
from worker.standing import Lanes, Standing
from worker.transaction import pipelined_transaction, send_all
from worker.verdict import LaneBusy

TAKEN_EFFECT = frozenset({"applied", "unchanged"})

MANY = 50
"""From so many jobs on the ledger is asked at once whether it knows them: for one, that would take a tenth of its time
(measured: 2.6 ms to 2.85); for thousands that are replayed, it saves a transaction in vain.
"""

Settlement: TypeAlias = dict[str, list[tuple[Entry, End]]]
"""For each lane its entries with their ends."""


class CameTwice(OnelaneError):
    """The ledger's key refuses a new job that comes twice in one batch; a replayed one has its row already. Applied in
    parts, its second coming is known.
    """


@dataclass(frozen=True, slots=True)
class Batch:
    """What a committed batch did: for each lane that was ours the ends of its entries; the rest was not touched."""

    ends: "Settlement"
    newest_token: int
    """The highest token of a lane that was not ours, 0 if all were."""
    outbox: bool
    """Whether the outbox holds something to deliver."""


def apply(
    connection: Connection, token: int, worker: str, lanes: Lanes, meanwhile: Callable[[], object] = lambda: None
) -> Batch:
    """Apply the entries of claimed lanes in one transaction. `meanwhile` is done while PostgreSQL is at work.

    Raises LaneBusy; or CameTwice, MustWait, NotKnownYet, StatementBroken, psycopg.Error or what a kind's own code
    raises: then nothing happened, and it was the fault of a job that has not ended yet.
    """
    entries = list(chain.from_iterable(lanes.values()))
    if any(entry.job is not None and entry.job.apply is not None for entry in entries):
        meanwhile()  # a kind's own code does not come back before it is done
        return _apply_step_by_step(connection, token, worker, lanes)
    look_up = len(entries) >= MANY
    try:
        if batch := _apply_at_once(connection, token, worker, lanes, meanwhile, look_up=look_up):
            return batch
    except LaneBusy:
        raise
    except Exception:
        standing = _standing_of(connection, token, lanes)
        if standing.leaves_nothing_out() and (look_up or not standing.known):
            raise
    return _apply_step_by_step(connection, token, worker, lanes)


def _apply_at_once(
    connection: Connection,
    token: int,
    worker: str,
    lanes: Lanes,
    meanwhile: Callable[[], object],
    *,
    look_up: bool,
) -> Batch | None:
    """As if nothing had to be left out. If something has to be, None or an error, and nothing happened."""
    outbox = None
    with pipelined_transaction(connection) as sync:
        standing = Standing(connection, token, lanes, look_up=look_up)
        asked = rounds.ask(connection, lanes)
        send_all(connection)
        meanwhile()
        standing.await_answers(sync)
        if not standing.leaves_nothing_out():
            raise Rollback
        settled = _settle(lanes, asked)
        outbox = _record(connection, settled, worker, standing)
    return None if outbox is None else Batch(settled, 0, _single(outbox))


def _standing_of(connection: Connection, token: int, lanes: Lanes) -> Standing:
    with pipelined_transaction(connection) as sync:
        standing = Standing(connection, token, lanes)
        standing.await_answers(sync)
    return standing


def _apply_step_by_step(connection: Connection, token: int, worker: str, lanes: Lanes) -> Batch:
    with pipelined_transaction(connection) as sync:
        standing = Standing(connection, token, lanes)
        standing.await_answers(sync)
        batch = standing.to_apply(sync)
        asked = rounds.ask(connection, batch)
        newest = connection.execute(query("fence_tokens"), {"lanes": sorted(lanes.keys() - standing.ours)})
        sync()
        settled = _settle(batch, asked)
        outbox = _record(connection, settled, worker, standing)
    return Batch(settled, _single(newest) or 0, _single(outbox))


def _single(cursor: Cursor) -> Any:
    (value,) = cursor.fetchone() or (None,)
    return value


def _settle(batch: Lanes, asked: rounds.Asked) -> Settlement:
    ends = rounds.answers(asked)
    return {
        lane: [(entry, entry.end or ends.get(entry.envelope.id, rounds.MERGED)) for entry in entries]
        for lane, entries in batch.items()
    }


def _record(connection: Connection, settled: Settlement, worker: str, standing: Standing) -> Cursor:
    """Write the ledger rows of all that ended now; the cursor tells whether the outbox holds anything."""
    new: list[dict[str, Any]] = []
    replayed: list[dict[str, Any]] = []
    replies: list[dict[str, Any]] = []
    newest: dict[str, dict[str, Any]] = {}
    for entry, end in chain.from_iterable(settled.values()):
        if end.repeated:
            continue
        e = entry.envelope
        row = entry.ledger_row(end)
        (replayed if e.id in standing.known else new).append(row)
        if e.reply_to is not None:
            replies.append({**row, "reply_to": e.reply_to})
        if end.status in TAKEN_EFFECT and (e.lane not in newest or newest[e.lane]["seq"] < e.seq):
            newest[e.lane] = {"lane": e.lane, "seq": e.seq, "job_id": e.id}
    by = {"worker": worker, "token": standing.token}
    if replayed:
        if len({row["id"] for row in replayed}) < len(replayed):
            raise CameTwice("a job that was replayed stands twice in one batch")
        connection.execute(query("record_replayed"), {"rows": to_json(replayed).decode(), **by})
    if replies:
        connection.execute(query("outbox_replies"), {"rows": to_json(replies).decode(), "token": standing.token})
    rows = {"rows": to_json(new).decode(), "newest": to_json(list(newest.values())).decode(), **by}
    return connection.execute(query("record"), rows, prepare=True)

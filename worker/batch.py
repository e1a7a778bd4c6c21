"""One batch, one transaction, a handful of round trips: where jobs take effect.

The order of the statements is the safety of the whole system. In one READ COMMITTED transaction, in pipeline mode:

1. Fence. The claim's token is written to the row of each claimed lane, if it is not older than what stands there. From
   here to the commit no other worker can be in one of these lanes; lanes with a newer token are dropped.
2. Known. Jobs that the ledger has already are not applied again. This is read after the fence, so it sees whatever a
   predecessor on the lane has committed. A dead letter that comes back is applied, unless the fence shows that a newer
   job took effect first: then it is a dead letter again (`overtaken`), whatever was true when its replay began.
3. Apply, in rounds (rounds.py): for each kind in a round its one set-based statement runs, with its audit and outbox
   rows.
4. Record. One ledger row for each job, and a reply in the outbox for each whose asker waits for one. Commit.

What a crash leaves, point by point: before the commit nothing has happened; after it the ledger knows all jobs of the
batch, so the next claim only acknowledges them. A COMMIT whose reply was lost is one of these two. A worker that was
paused and wakes up inside the transaction still holds the row locks, or has lost its connection; one that wakes up
before the fence finds a newer token. No clock and no lease decides any of this. How long such a worker makes its
successor wait is limited by the server (database.py), but only where the client owes the next word: so each answer is
awaited behind a sync.

Nearly always all lanes are ours and no job is known. So a batch is first applied at once: the statements of step 3 are
sent before the answer of 1 is there, and step 2 is left to the ledger's key, which refuses a job that it knows. If that
was too bold, all is rolled back, and a second transaction goes step by step; so do the next batches, until one has
nothing to leave out (many dead letters coming back are known one and all).

Any error aborts the whole batch. Whose fault it is shows when it is applied in parts (isolation.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeAlias

from psycopg import Connection, Cursor, Rollback
from psycopg.errors import LockNotAvailable
from pydantic_core import to_json

from worker import rounds
from worker.database import raw_cursor
from worker.entry import End, Entry, dead
from worker.envelope import Envelope
from worker.query import query
from worker.transaction import Sync, pipelined_transaction
from worker.verdict import Failure, Fault, LaneBusy

TAKEN_EFFECT = frozenset({"applied", "unchanged"})

Known: TypeAlias = dict[str, tuple[str, End, bool]]
"""Of jobs that the ledger has: their digest, their end, and whether a replay is forced."""

Settlement: TypeAlias = dict[str, list[tuple[Entry, End]]]
"""For each lane its entries with their ends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a committed batch did: for each lane that was ours the ends of its entries; the rest was not touched."""

    ends: "Settlement"
    newest_token: int
    """The highest token of a lane that was not ours, 0 if all were."""
    outbox: bool
    """Whether the outbox holds something to deliver."""
    all_new: bool
    """Whether all lanes were ours and no job was known."""


def apply(
    connection: Connection, token: int, worker: str, lanes: Mapping[str, Sequence[Entry]], *, at_once: bool = True
) -> Batch:
    """Apply the entries of claimed lanes in one transaction; `at_once` is faster unless something is to be left out.

    Raises LaneBusy; or MustWait, NotKnownYet, StatementBroken, psycopg.Error or what a kind's own code raises: then
    nothing happened, and it was the fault of a job that the ledger does not know yet.
    """
    entries = chain.from_iterable(lanes.values())
    if at_once and all(entry.job is None or entry.job.apply is None for entry in entries):
        try:
            if batch := _apply_at_once(connection, token, worker, lanes):
                return batch
        except LaneBusy:
            raise
        except Exception:
            if _all_ours_and_new(connection, token, lanes):
                raise
    return _apply_step_by_step(connection, token, worker, lanes)


def _apply_at_once(
    connection: Connection, token: int, worker: str, lanes: Mapping[str, Sequence[Entry]]
) -> Batch | None:
    """As if all lanes were ours and no job known. None if a lane is not ours; an error if a job is known."""
    outbox = None
    with pipelined_transaction(connection) as sync:
        fenced = _ask_for_fences(connection, token, lanes)
        asked = rounds.ask(connection, lanes)
        if len(_granted(sync, fenced)) < len(lanes):
            raise Rollback
        settled = _settle(lanes, asked)
        outbox = _record(connection, settled, worker, token)
    return None if outbox is None else Batch(settled, 0, _single(outbox), all_new=True)


def _all_ours_and_new(connection: Connection, token: int, lanes: Mapping[str, Sequence[Entry]]) -> bool:
    with pipelined_transaction(connection) as sync:
        fenced, known = _ask_for_fences(connection, token, lanes), _ask_for_known(connection, _ids(lanes))
        return len(_granted(sync, fenced)) == len(lanes) and known.fetchone() is None


def _apply_step_by_step(connection: Connection, token: int, worker: str, lanes: Mapping[str, Sequence[Entry]]) -> Batch:
    with pipelined_transaction(connection) as sync:
        fenced, known_already = _ask_for_fences(connection, token, lanes), _ask_for_known(connection, _ids(lanes))
        ours, known = _granted(sync, fenced), _known(known_already)
        if reused := _reused(lanes, known):
            known_as_well = _ask_for_known(connection, reused)
            sync()
            known |= _known(known_as_well)
        batch = {lane: [_recognized(e, known, ours[lane]) for e in lanes[lane]] for lane in lanes if lane in ours}
        asked = rounds.ask(connection, batch)
        newest = connection.execute(query("fence_tokens"), {"lanes": sorted(lanes.keys() - ours)})
        sync()
        settled = _settle(batch, asked)
        outbox = _record(connection, settled, worker, token, known)
    all_new = not known and len(ours) == len(lanes)
    return Batch(settled, _single(newest) or 0, _single(outbox), all_new)


def _single(cursor: Cursor) -> Any:
    (value,) = cursor.fetchone() or (None,)
    return value


def _ask_for_fences(connection: Connection, token: int, lanes: Iterable[str]) -> Cursor[tuple[str, int]]:
    return connection.execute(query("fence"), {"token": token, "lanes": list(lanes)}, prepare=True)


def _granted(sync: Sync, fenced: Cursor[tuple[str, int]]) -> dict[str, int]:
    """The lanes that are ours, each with the number of the newest job that took effect in it. Raises LaneBusy, or an
    error that a later statement has met meanwhile.
    """
    try:
        sync()
        return dict(fenced)
    except LockNotAvailable as error:
        if fenced.pgresult is not None:
            raise
        raise LaneBusy("another worker's transaction is in this lane") from error


def _ids(lanes: Mapping[str, Sequence[Entry]]) -> list[str]:
    return [entry.envelope.id for entries in lanes.values() for entry in entries]


def _reused(lanes: Mapping[str, Sequence[Entry]], known: Known) -> list[str]:
    """Of jobs whose ids are other jobs' in the ledger: the ids under which it may have them."""
    envelopes = [entry.envelope for entries in lanes.values() for entry in entries if entry.envelope.id in known]
    return [_id_if_reused(envelope) for envelope in envelopes if known[envelope.id][0] != envelope.digest]


def _ask_for_known(connection: Connection, ids: Sequence[str]) -> Cursor:
    return raw_cursor(connection).execute(query("known"), {"ids": to_json(ids).decode()}, prepare=True)


def _known(cursor: Cursor) -> Known:
    return {
        job_id: (digest, End(status, code, message, before, after, repeated=True), forced)
        for job_id, digest, status, code, message, before, after, forced in cursor
    }


def _recognized(entry: Entry, known: Known, newest: int) -> Entry:
    found = known.get(entry.envelope.id)
    if found is None:
        return entry
    digest, end, forced = found
    if digest == entry.envelope.digest:
        if end.status != "replaying":
            return entry.ended(end)
        is_late = newest > entry.envelope.seq and not forced and entry.end is None
        return entry.ended(OVERTAKEN) if is_late else entry
    other = replace(entry.envelope, id=_id_if_reused(entry.envelope))
    message = f"the id {entry.envelope.id!r} belongs to a job with another payload"
    end = dead("id_reused", Failure(Fault.PERMANENT, "IdReused", None, message))
    return entry._replace(envelope=other).ended(end._replace(repeated=other.id in known))


def _id_if_reused(envelope: Envelope) -> str:
    """The id under which the ledger keeps a job whose own id is another job's."""
    return f"{envelope.id}~{envelope.digest}"


OVERTAKEN = dead(
    "overtaken", Failure(Fault.PERMANENT, "Overtaken", None, "a newer job of its lane took effect before it came back")
)


def _settle(batch: Mapping[str, Sequence[Entry]], asked: rounds.Asked) -> Settlement:
    ends = rounds.answers(asked)
    return {
        lane: [(entry, entry.end or ends.get(entry.envelope.id, rounds.MERGED)) for entry in entries]
        for lane, entries in batch.items()
    }


def _record(connection: Connection, settled: Settlement, worker: str, token: int, known: Known | None = None) -> Cursor:
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
        (replayed if known and e.id in known else new).append(row)
        if e.reply_to is not None:
            replies.append({**row, "reply_to": e.reply_to})
        if end.status in TAKEN_EFFECT and (e.lane not in newest or newest[e.lane]["seq"] < e.seq):
            newest[e.lane] = {"lane": e.lane, "seq": e.seq, "job_id": e.id}
    by = {"worker": worker, "token": token}
    if replayed:
        connection.execute(query("record_replayed"), {"rows": to_json(replayed).decode(), **by})
    if replies:
        connection.execute(query("outbox_replies"), {"rows": to_json(replies).decode(), "token": token})
    rows = {"rows": to_json(new).decode(), "newest": to_json(list(newest.values())).decode(), **by}
    return connection.execute(query("record"), rows, prepare=True)

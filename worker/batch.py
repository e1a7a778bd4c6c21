"""One batch, one transaction, a handful of round trips: where jobs take effect.

The order of the statements is the safety of the whole system. In one READ COMMITTED transaction, in pipeline mode:

1. Fence. The claim's token is written to the row of each claimed lane, if it is not older than what stands there. From
   here to the commit no other worker can be in one of these lanes; lanes with a newer token are dropped.
2. Known. Jobs that the ledger has already are not applied again. This is read after the fence, so it sees whatever a
   predecessor on the lane has committed. A dead letter that comes back is applied, unless the fence shows that a newer
   job took effect first: then it is a dead letter again (`overtaken`), whatever was true when its replay began.
3. Apply, in rounds: round i holds the i-th job of each lane, so no two jobs of a round touch the same row. For each
   kind in a round its one set-based statement runs, with its audit and outbox rows.
4. Record. One ledger row for each job. Commit.

What a crash leaves, point by point: before the commit nothing has happened; after it the ledger knows all jobs of the
batch, so the next claim only acknowledges them. A COMMIT whose reply was lost is one of these two. A worker that was
paused and wakes up inside the transaction still holds the row locks, or has lost its connection; one that wakes up
before the fence finds a newer token. No clock and no lease decides any of this.

Any error aborts the whole batch. Whose fault it is shows when the jobs are applied one by one (worker/drain.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Any, cast

from psycopg import Connection, Cursor
from psycopg.types.string import TextLoader
from pydantic_core import from_json, to_json

from worker.entry import End, Entry, dead
from worker.errors import OnelaneError
from worker.job import Job, statement
from worker.query import query
from worker.verdict import Failure, Fault, MustWait

STATUSES = frozenset({"applied", "unchanged", "rejected", "wait"})


@dataclass(frozen=True, slots=True)
class Batch:
    """What a committed batch did: for each lane that was ours the ends of its entries; the rest was not touched."""

    ends: dict[str, list[tuple[Entry, End]]]
    newest_token: int
    """The highest token of a lane that was not ours, 0 if all were."""
    outbox: bool
    """Whether the outbox holds something to deliver."""


class StatementBroken(OnelaneError):
    """A kind's statement did not answer each of its jobs once, with a status that it may give."""


def apply(connection: Connection, token: int, worker: str, lanes: Mapping[str, Sequence[Entry]]) -> Batch:
    """Apply the entries of claimed lanes in one transaction.

    Raises MustWait, NotKnownYet, StatementBroken, psycopg.Error or what a kind's own code raises: then nothing
    happened.
    """
    with connection.pipeline(), connection.transaction():
        ours = _fence(connection, token, lanes)
        batch = {lane: list(entries) for lane, entries in lanes.items() if lane in ours}
        known = _known(connection, [e.envelope.id for entries in batch.values() for e in entries])
        batch = {lane: [_recognized(e, known, ours[lane]) for e in entries] for lane, entries in batch.items()}
        ends = dict(_apply_rounds(connection, batch))
        settled = {lane: [(e, e.end or ends[e.envelope.id]) for e in entries] for lane, entries in batch.items()}
        rows = [e.ledger_row(end) for pairs in settled.values() for e, end in pairs if not end.repeated]
        connection.execute(query("record"), {"rows": to_json(rows).decode(), "worker": worker, "token": token})
        outbox = connection.execute(query("outbox_waiting"))
        newest = (
            connection.execute(query("fence_tokens"), {"lanes": sorted(lanes.keys() - ours)})
            if len(ours) < len(lanes)
            else None
        )
        waiting = outbox.fetchone()
        newest_token = (newest.fetchone() or (0,))[0] if newest is not None else 0
    return Batch(settled, newest_token or 0, bool(waiting and waiting[0]))


def _fence(connection: Connection, token: int, lanes: Mapping[str, Sequence[Entry]]) -> dict[str, int]:
    """The lanes that are ours, each with the number of the newest job that took effect in it."""
    granted = connection.execute(query("fence"), {"token": token, "lanes": list(lanes)}, prepare=True)
    return dict(granted)


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[str, End, bool]]:
    cursor = _raw_cursor(connection)
    cursor.execute(query("known"), {"ids": ids}, prepare=True)
    return {
        job_id: (digest, End(status, code, message, before, after, repeated=True), forced)
        for job_id, digest, status, code, message, before, after, forced in cursor
    }


def _recognized(entry: Entry, known: Mapping[str, tuple[str, End, bool]], newest: int) -> Entry:
    found = known.get(entry.envelope.id)
    if found is None:
        return entry
    digest, end, forced = found
    if digest == entry.envelope.digest:
        if end.status != "replaying":
            return entry.ended(end)
        return entry if forced or newest < entry.envelope.seq else entry.ended(OVERTAKEN)
    other = replace(entry.envelope, id=f"{entry.envelope.id}~{entry.envelope.digest}")
    message = f"the id {entry.envelope.id!r} belongs to a job with another payload"
    return replace(entry, envelope=other).ended(dead("id_reused", Failure(Fault.PERMANENT, "IdReused", None, message)))


OVERTAKEN = dead(
    "overtaken", Failure(Fault.PERMANENT, "Overtaken", None, "a newer job of its lane took effect before it came back")
)


def _apply_rounds(connection: Connection, batch: Mapping[str, Sequence[Entry]]) -> Iterator[tuple[str, End]]:
    queues = []
    for entries in batch.values():
        waiting, merged = _merge([e for e in entries if e.end is None])
        yield from ((e.envelope.id, MERGED) for e in merged)
        queues.append(waiting)
    asked = [
        (entries, _ask(connection, kind, entries))
        for one_each in zip_longest(*queues)
        for kind, entries in _by_kind(one_each).items()
    ]
    for entries, cursor in asked:
        yield from _answers(entries, cursor)


MERGED = End("unchanged", "merged", "An equal job right before this one has done it.")


def _merge(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Of equal jobs of a merging kind that follow each other the first is applied, the rest are merged into it."""
    waiting: list[Entry] = []
    merged: list[Entry] = []
    for entry in entries:
        repeats = waiting and entry.job is not None and entry.job.merge and waiting[-1].job == entry.job
        (merged if repeats else waiting).append(entry)
    return waiting, merged


def _by_kind(entries: Sequence[Entry | None]) -> dict[type[Job], list[Entry]]:
    kinds = defaultdict(list)
    for entry in entries:
        if entry is None:
            continue
        if entry.job is None:
            raise entry.error or RuntimeError("an entry without a job and without a reason")
        kinds[type(entry.job)].append(entry)
    return kinds


def _ask(connection: Connection, kind: type[Job], entries: Sequence[Entry]) -> Iterable[tuple[Any, ...]]:
    jobs = [
        {
            **cast("Job", e.job).model_dump(mode="json"),
            "_n": n,
            "_job": e.envelope.id,
            "_actor": e.envelope.actor,
            "_reason": e.envelope.reason,
            "_at": e.envelope.enqueued_at,
        }
        for n, e in enumerate(entries)
    ]
    context = {"now": datetime.now(UTC).isoformat(), **kind.context()}
    if kind.apply is not None:
        return kind.apply(connection, jobs, context)
    cursor = _raw_cursor(connection)
    cursor.execute(
        statement(kind), {"jobs": to_json(jobs).decode(), "context": to_json(context).decode()}, prepare=True
    )
    return cursor


def _answers(entries: Sequence[Entry], rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, End]]:
    unanswered = dict(enumerate(entries))
    for n, status, code, before, after, facts in rows:
        entry = unanswered.pop(n, None)
        if entry is None or status not in STATUSES:
            raise StatementBroken(f"the statement answered job {n!r} twice, or with the status {status!r}")
        yield entry.envelope.id, _end(entry, status, code, before, after, facts)
    if unanswered:
        raise StatementBroken(f"the statement left {len(unanswered)} of {len(entries)} jobs without an answer")


def _end(entry: Entry, status: str, code: str, before: str | None, after: str | None, facts: str | None) -> End:
    job = cast("Job", entry.job)
    known = {"actor": entry.envelope.actor, **entry.envelope.payload, **(from_json(facts) if facts else {})}
    message = job.message(code, known)
    if status == "wait":
        raise MustWait(code, message)
    return End(status, code, message, before, after)


def _raw_cursor(connection: Connection) -> Cursor:
    """A cursor that leaves jsonb as text: rows pass through us unread."""
    cursor = connection.cursor()
    cursor.adapters.register_loader("jsonb", TextLoader)
    return cursor

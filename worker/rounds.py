"""The rounds of a batch: in round i the i-th job of each lane, one statement for each kind.

So no two jobs of a statement touch the same row, and the jobs of a lane keep their order. A kind that folds takes the
jobs of a lane that follow each other in one round; of equal jobs of a kind that merges only the first is asked for.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby, zip_longest
from typing import Any, TypeAlias, cast

from psycopg import Connection
from pydantic_core import from_json, to_json

from worker.database import raw_cursor
from worker.entry import End, Entry
from worker.errors import OnelaneError
from worker.job import Job, payload_of, statement
from worker.transaction import send_all
from worker.verdict import MustWait

STATUSES = frozenset({"applied", "unchanged", "rejected", "wait"})
MERGED = End("unchanged", "merged", "An equal job right before this one has done it.")

Asked: TypeAlias = list[tuple[Sequence[Entry], Iterable[tuple[Any, ...]]]]
"""Jobs that one statement was asked to apply, and where its answers come."""


class StatementBroken(OnelaneError):
    """A kind's statement did not answer each of its jobs once, with a status that it may give."""


def ask(connection: Connection, batch: Mapping[str, Sequence[Entry]]) -> Asked:
    """Send the statements of all rounds; their answers are not awaited."""
    lanes = (_runs(_merge([entry for entry in entries if entry.end is None])) for entries in batch.values())
    return [
        (entries, _ask_kind(connection, kind, entries))
        for one_each in zip_longest(*lanes, fillvalue=())
        for kind, entries in _by_kind(chain(*one_each)).items()
    ]


def _merge(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Of equal jobs of a merging kind that follow each other the first; the others are not asked for."""
    last = None
    for entry in entries:
        if last is None or entry.job is None or not entry.job.merge or entry.job != last.job:
            yield entry
        last = entry


def _runs(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """What one lane gives to each round: one job, or the jobs up to the next of another kind where the kind folds."""
    for folds, group in groupby(
        entries, lambda entry: type(entry.job) if entry.job is not None and entry.job.folds else None
    ):
        if folds is None:
            yield from ([entry] for entry in group)
        else:
            yield list(group)


def _by_kind(entries: Iterable[Entry]) -> dict[type[Job], list[Entry]]:
    kinds = defaultdict(list)
    for entry in entries:
        if entry.job is None:
            raise entry.error or RuntimeError("an entry without a job and without a reason")
        kinds[type(entry.job)].append(entry)
    return kinds


def _ask_kind(connection: Connection, kind: type[Job], entries: Sequence[Entry]) -> Iterable[tuple[Any, ...]]:
    jobs = [
        {
            **payload_of(cast("Job", e.job)),
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
        send_all(connection)  # it may await answers of its own
        return kind.apply(connection, jobs, context)
    cursor = raw_cursor(connection)
    cursor.execute(
        statement(kind), {"jobs": to_json(jobs).decode(), "context": to_json(context).decode()}, prepare=True
    )
    return cursor


def answers(asked: Asked) -> dict[str, End]:
    """How each job ended, by its id; waits for what is not answered yet.

    Raises StatementBroken, MustWait, psycopg.Error or what a kind's own code raises.
    """
    return {job_id: end for entries, rows in asked for job_id, end in _answers_of(entries, rows)}


def _answers_of(entries: Sequence[Entry], rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, End]]:
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

"""Where a batch stands: which of its lanes are ours, and what the ledger knows of their jobs.

Both are asked for at the beginning of its transaction, the ledger behind the fence: so it is seen with whatever a
predecessor on the lane has committed. A dead letter that comes back (`replaying`) is applied like any job, unless the
fence shows that a newer one took effect first: then it is a dead letter again (`overtaken`), whatever was true when its
replay began.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, TypeAlias

from psycopg import Connection, Cursor
from psycopg.errors import LockNotAvailable
from pydantic_core import to_json

from worker.database import raw_cursor
from worker.entry import End, Entry, dead
from worker.envelope import Envelope
from worker.query import query
from worker.transaction import Sync
from worker.verdict import Failure, Fault, LaneBusy

Lanes: TypeAlias = Mapping[str, Sequence[Entry]]
"""Entries in order, by their lane."""

OVERTAKEN = dead(
    "overtaken", Failure(Fault.PERMANENT, "Overtaken", None, "a newer job of its lane took effect before it came back")
)


class Recorded(NamedTuple):
    """What the ledger has of a job."""

    digest: str
    end: End
    forced: bool


Known: TypeAlias = dict[str, Recorded]
"""The jobs that the ledger has, by id."""


class Standing:
    """What one claim may do in PostgreSQL; known when the answers were awaited."""

    def __init__(self, connection: Connection, token: int, lanes: Lanes, *, look_up: bool = True) -> None:
        """Ask, in pipeline mode. Without `look_up`, the ledger is taken to know none of these jobs."""
        self.token, self.lanes = token, lanes
        self._connection = connection
        self._fences: Cursor[tuple[str, int]] = connection.execute(
            query("fence"), {"token": token, "lanes": list(lanes)}, prepare=True
        )
        ids = [entry.envelope.id for each in lanes.values() for entry in each]
        self._ledger = _ask_ledger(connection, ids) if look_up else None

    def await_answers(self, sync: Sync) -> None:
        """Raises LaneBusy, or an error that a later statement has met meanwhile."""
        try:
            sync()
        except LockNotAvailable as error:
            if self._fences.pgresult is not None:
                raise
            raise LaneBusy("another worker's transaction is in this lane") from error

    @cached_property
    def ours(self) -> dict[str, int]:
        """The lanes that are ours, each with the number of the newest job that took effect in it."""
        return dict(self._fences)

    @cached_property
    def known(self) -> Known:
        """What the ledger has of these jobs."""
        return {} if self._ledger is None else _read(self._ledger)

    def leaves_nothing_out(self) -> bool:
        """Whether all these jobs are to be applied."""
        if len(self.ours) < len(self.lanes):
            return False
        return not self.known or all(
            self._recognized(entry, self.ours[lane]) is entry for lane, each in self.lanes.items() for entry in each
        )

    def to_apply(self, sync: Sync) -> Lanes:
        """The lanes that are ours; of their jobs those that the ledger has already have come to their end."""
        ours = {lane: each for lane, each in self.lanes.items() if lane in self.ours}
        envelopes = [entry.envelope for each in ours.values() for entry in each if entry.envelope.id in self.known]
        if reused := [_id_if_reused(each) for each in envelopes if self.known[each.id].digest != each.digest]:
            as_well = _ask_ledger(self._connection, reused)
            sync()
            self.known.update(_read(as_well))
        return {lane: [self._recognized(entry, self.ours[lane]) for entry in each] for lane, each in ours.items()}

    def _recognized(self, entry: Entry, newest: int) -> Entry:
        found = self.known.get(entry.envelope.id)
        if found is None:
            return entry
        if found.digest == entry.envelope.digest:
            if found.end.status != "replaying":
                return entry.ended(found.end)
            is_late = newest > entry.envelope.seq and not found.forced and entry.end is None
            return entry.ended(OVERTAKEN) if is_late else entry
        other = replace(entry.envelope, id=_id_if_reused(entry.envelope))
        message = f"the id {entry.envelope.id!r} belongs to a job with another payload"
        end = dead("id_reused", Failure(Fault.PERMANENT, "IdReused", None, message))
        return entry._replace(envelope=other).ended(end._replace(repeated=other.id in self.known))


def _ask_ledger(connection: Connection, ids: Sequence[str]) -> Cursor:
    return raw_cursor(connection).execute(query("known"), {"ids": to_json(ids).decode()}, prepare=True)


def _read(ledger: Cursor) -> Known:
    return {
        job_id: Recorded(digest, End(status, code, message, before, after, repeated=True), forced)
        for job_id, digest, status, code, message, before, after, forced in ledger
    }


def _id_if_reused(envelope: Envelope) -> str:
    """The id under which the ledger keeps a job whose own id is another job's."""
    return f"{envelope.id}~{envelope.digest}"

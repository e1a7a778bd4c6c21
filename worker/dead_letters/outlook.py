"""The outlook: what a replay of a job would meet, and the sentence for whoever can't be replayed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from psycopg import Connection
from psycopg.rows import class_row
from pydantic_core import to_json

from worker.dead_letters.filter import Filter
from worker.query import query

BYTES_ARE_WRONG = {
    "damaged": "Its bytes are no job. Give it a kind and a payload (--edit), or discard it.",
    "id_reused": "Its id belongs to another job. Edit it (--edit) to make it a job of its own, or discard it.",
}
UNKNOWN = "No job of this id has ended here: is the id right, and this its database?"


@dataclass(frozen=True, slots=True)
class Outlook:
    """A job, and the newest job of its lane that took effect."""

    job_id: str
    kind: str
    lane: str
    seq: int
    status: str
    code: str
    finished_at: datetime
    replays: int
    edited: bool
    newest_seq: int | None
    newest_id: str | None
    newest_kind: str | None
    newest_actor: str | None
    newest_status: str | None
    newest_at: datetime | None

    @property
    def is_dead(self) -> bool:
        """Whether it waits for an operator, or is on its way back to its lane."""
        return self.status in ("dead", "replaying")

    @property
    def is_late(self) -> bool:
        """Whether a newer job of its lane took effect."""
        return (self.newest_seq or 0) > self.seq

    def refusal(self, *, force: bool) -> str | None:
        """Why it can't be replayed; None if it can."""
        if not self.is_dead:
            return self.no_dead_letter()
        if self.code in BYTES_ARE_WRONG and not self.edited:
            return BYTES_ARE_WRONG[self.code]
        if self.is_late and not force:
            return f"Its lane has gone on: {self._newest()}. --force replays it all the same, over newer data."
        return None

    def no_dead_letter(self) -> str:
        """What it is instead."""
        if self.status == "discarded":
            return f"It was discarded at {spoken(self.finished_at)}."
        was = "is no dead letter any more" if self.replays else "never was a dead letter"
        return f"It {was}: {self.status} ({self.code}) at {spoken(self.finished_at)}."

    def _newest(self) -> str:
        if self.newest_id is None or self.newest_at is None:
            return "a newer job took effect"
        who = f"{self.newest_kind} {self.newest_id} of {self.newest_actor}"
        return f"{who}, {self.newest_status} at {spoken(self.newest_at)}, is newer"


def outlooks(connection: Connection, ids: Iterable[str], *, lock: bool = False) -> list[Outlook]:
    """The outlook of these jobs, in the order of a replay; `lock` keeps their rows until the transaction ends."""
    statement = query("dead_outlook") + (" FOR UPDATE OF l" if lock else "")
    cursor = connection.cursor(row_factory=class_row(Outlook))
    return cursor.execute(statement, {"ids": to_json(list(ids)).decode()}, prepare=False).fetchall()


def unmet(connection: Connection, found: Filter) -> dict[str, str]:
    """Why jobs that the filter names by id are not found; those that only its limit keeps out are."""
    missing = dict.fromkeys(found.ids, UNKNOWN)
    if missing:
        for ids in replace(found, limit=None).chunks(connection):
            for job_id in ids:
                del missing[job_id]
        for outlook in outlooks(connection, missing):
            no_match = "It does not match the other conditions."
            missing[outlook.job_id] = no_match if outlook.is_dead else outlook.no_dead_letter()
    return missing


def spoken(time: datetime) -> str:
    """A time for people."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

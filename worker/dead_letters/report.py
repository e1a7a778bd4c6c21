"""Reports: dead letters as lines, in groups, and one of them with all that is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from worker.dead_letters.acts import Act, acts_of
from worker.dead_letters.filter import Filter
from worker.dead_letters.letter import Letter, letter_of
from worker.dead_letters.outlook import UNKNOWN, Outlook, outlooks
from worker.errors import InvalidJob, OnelaneError, UnknownKind
from worker.job import parse
from worker.query import query


class NoDeadLetter(OnelaneError):
    """This job is no dead letter and never was one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A dead letter in short."""

    job_id: str
    finished_at: datetime
    kind: str
    lane: str
    actor: str
    status: str
    code: str
    error_class: str | None
    sqlstate: str | None
    error: str | None
    attempts: int
    replays: int


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one kind that died of the same; `example` is the id of one."""

    kind: str
    code: str
    error_class: str | None
    sqlstate: str | None
    jobs: int
    lanes: int
    first: datetime
    last: datetime
    example: str


@dataclass(frozen=True, slots=True)
class Report:
    """One dead letter, what was done to it, what a replay would meet, and the row of its lane as it is now."""

    letter: Letter
    """Without the URL that its answer goes to."""
    has_reply_to: bool
    """Whether there is such a URL."""
    acts: list[Act]
    outlook: Outlook
    older: int
    """Dead letters of its lane that are older."""
    row_now: Any

    def fate(self) -> str | None:
        """Why a replay would be refused, or would end as a dead letter again; None if nothing is known to forbid it."""
        refusal = self.outlook.refusal(force=False)
        envelope = self.letter.envelope
        if refusal is not None or envelope is None:
            return refusal
        try:
            job = parse(envelope.kind, envelope.payload)
        except UnknownKind as error:
            return f"No worker that runs this release knows it: {error}."
        except InvalidJob as error:
            return f"It would die again: {error}."
        if job.lane() != self.letter.lane:
            return f"It would die again: its payload belongs on the lane {job.lane()!r}."
        return None


def lines(connection: Connection, found: Filter) -> Iterator[Line]:
    """The dead letters that are found, in the order of a replay."""
    for ids in found.chunks(connection):
        cursor = connection.cursor(row_factory=class_row(Line))
        yield from cursor.execute(query("dead_list"), {"ids": ids}, prepare=False)


def count(connection: Connection, found: Filter, limit: int | None = None) -> int:
    """How many are found; counts to `limit` and no further."""
    statement = query("dead_count").replace("{found}", query("dead_found"))
    least = min((each for each in (found.limit, limit) if each is not None), default=None)
    (number,) = connection.execute(statement, found.values(limit=least), prepare=False).fetchone() or (0,)
    return int(number)


def stats(connection: Connection, found: Filter) -> list[Group]:
    """What is found, by what it has in common, the most frequent first."""
    statement = query("dead_stats").replace("{found}", query("dead_found"))
    cursor = connection.cursor(row_factory=class_row(Group))
    return cursor.execute(statement, found.values(limit=found.limit), prepare=False).fetchall()


def report(connection: Connection, job_id: str) -> Report:
    """All that is known of a job that is or was a dead letter. Raises NoDeadLetter."""
    found = outlooks(connection, [job_id])
    acts = acts_of(connection, job_id)
    if not found:
        raise NoDeadLetter(UNKNOWN)
    (outlook,) = found
    if not outlook.is_dead and not acts:
        raise NoDeadLetter(f"{outlook.no_dead_letter()} See `onelane job {job_id}`.")
    older, row_now = connection.execute(query("dead_lane"), {"id": job_id}, prepare=False).fetchone() or (0, None)
    letter = letter_of(connection, job_id)
    has_reply_to = letter.envelope is not None and letter.envelope.reply_to is not None
    return Report(letter.unaddressed(), has_reply_to, acts, outlook, older, row_now)

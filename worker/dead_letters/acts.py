"""Acts: what operators did to dead letters, and why. They are written by the statement that does them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from worker.enqueue import ACTOR
from worker.errors import Refused
from worker.query import query


@dataclass(frozen=True, slots=True)
class Act:
    """One act: `replay`, `discard`, `edit` or `import`; `details` are what would else be forgotten."""

    at: datetime
    actor: str
    act: str
    reason: str | None
    details: dict[str, Any] | None


def acts_of(connection: Connection, job_id: str) -> list[Act]:
    """What was done to a job, oldest first."""
    return connection.cursor(row_factory=class_row(Act)).execute(query("acts_of"), {"id": job_id}).fetchall()


def check_operator(actor: str, reason: str | None) -> None:
    """Raise Refused unless this can be written down, saying what was expected."""
    if not ACTOR.fullmatch(actor):
        raise Refused(f"actor: expected 1 to 50 characters without blanks, got {actor!r}")
    if reason is not None and (len(reason) > 2000 or not is_text(reason)):
        raise Refused(f"reason: expected at most 2000 characters of valid text, got {len(reason)}")


def is_text(value: str) -> bool:
    """Whether PostgreSQL can keep it: no NUL, and no bytes that are not UTF-8 (a lone surrogate)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value

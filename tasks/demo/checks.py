"""The checks: what a half left behind, held against the witness. Each is a statement in sql/check; its rows are faults.

A check that can't fail proves nothing: tests/acceptance/test_demo.py breaks the data once for each of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb
from redis import Redis

from tasks.demo.crowd import Report
from tasks.demo.intents import Intent
from tasks.demo.query import query

EFFECTS_PAGE = 5_000
ALERT = b"alert"
"""Told by the workers' sentinel, not by a commit."""

AFTER = {
    "errors": ["errors"],
    "duplicates": ["duplicates"],
    "lost_updates": ["lost_updates", "lost_jobs"],
    "repeated": ["repeated"],
    "out_of_order": ["out_of_order"],
    "audit_mismatches": ["audit"],
}
"""The promises of the second half, each with the statements that look for breaches."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be: of which group, which thing, and what about it."""

    group: str
    thing: str
    says: str


def note_answers(connection: Connection[Any], intents: Sequence[Intent], reports: Iterable[Report]) -> None:
    """Write down what each bot was told, for the checks to compare with."""
    with connection.transaction(), connection.cursor() as cursor:
        columns = "number, bot, conflict, kind, payload, answer, code, job_id"
        with cursor.copy(f"COPY demo.told ({columns}) FROM STDIN") as copy:
            for told in (told for report in reports for told in report.told):
                intent = intents[told.number]
                payload = Jsonb(intent.job.model_dump(mode="json"))
                row = (intent.number, intent.bot, intent.conflict, intent.job.kind, payload)
                copy.write_row((*row, told.answer, told.code, told.job_id))


def note_effects(connection: Connection[Any], redis: Redis, stream: str) -> None:
    """Write down what the bot has received on the stream of effects so far."""
    connection.execute("TRUNCATE demo.received RESTART IDENTITY")
    with (
        connection.transaction(),
        connection.cursor() as cursor,
        cursor.copy("COPY demo.received (key) FROM STDIN") as copy,
    ):
        start = "-"
        while page := _page(redis, stream, start):
            for place, fields in page:
                if fields[b"kind"] != ALERT:
                    copy.write_row((fields[b"id"].decode(),))
                start = f"({place.decode()}"


def _page(redis: Redis, stream: str, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: Any = redis.xrange(stream, start, count=EFFECTS_PAGE)
    return list(found)


def look(connection: Connection[Any], check: str, *, values: bool = True) -> list[Fault]:
    """The faults that one check finds. `values` is for the audit: whether it must tell old and new values too."""
    found = connection.execute(query(f"check/{check}"), {"values": values}).fetchall()
    return [Fault(*row) for row in found]


def verify(connection: Connection[Any]) -> Mapping[str, list[Fault]]:
    """The faults of the second half, by promise."""
    return {
        promise: [fault for check in checks for fault in look(connection, check)] for promise, checks in AFTER.items()
    }

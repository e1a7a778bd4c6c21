"""Transfer: dead letters as lines of JSON, to keep, to look at elsewhere, and to bring into this or another database.

A letter that is imported waits as a dead letter; one whose id the ledger knows already is left as it is there, so a
file may be read any number of times. The file holds no URL that answers go to, so nobody is told of the end of a job
that was imported; the URL would have ended half an hour after the question anyway.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from psycopg import Connection
from pydantic import ValidationError
from pydantic_core import to_json

from worker.dead_letters.acts import check_operator
from worker.dead_letters.filter import CHUNK, Filter
from worker.dead_letters.letter import LETTER, Letter
from worker.job import explain
from worker.query import query


@dataclass
class Imported:
    """What came of a file's lines: ids that are new, ids that were known, and what is wrong with which line."""

    imported: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


def export_lines(connection: Connection, found: Filter) -> Iterator[str]:
    """The dead letters that are found, a line of JSON each, in the order of a replay."""
    for ids in found.chunks(connection):
        for (line,) in connection.execute(query("dead_export"), {"ids": ids}, prepare=False):
            yield LETTER.dump_json(LETTER.validate_json(line).unaddressed()).decode()


def import_lines(connection: Connection, lines: Iterable[bytes], *, actor: str, reason: str | None = None) -> Imported:
    """Make dead letters of lines that `export_lines` wrote; blank lines are none.

    Each 1,000 are one transaction. Raises Refused when actor or reason are none.
    """
    check_operator(actor, reason)
    result = Imported()
    numbered = enumerate(lines, 1)
    while chunk := list(islice(numbered, CHUNK)):
        letters = {}
        for number, line in chunk:
            if not line.strip():
                continue
            try:
                letter = _dead(LETTER.validate_json(line))
                letters[letter.id] = LETTER.dump_python(letter, mode="json")
            except ValidationError as error:
                result.refused[number] = explain(error)
            except ValueError as error:
                result.refused[number] = str(error)
        values = {"rows": to_json(list(letters.values())).decode(), "actor": actor, "reason": reason}
        with connection.transaction():
            new = {job_id for (job_id,) in connection.execute(query("dead_import"), values, prepare=False)}
        result.imported += [job_id for job_id in letters if job_id in new]
        result.known += [job_id for job_id in letters if job_id not in new]
    return result


def _dead(letter: Letter) -> Letter:
    if letter.status != "dead":
        raise ValueError(f"status: expected 'dead', got {letter.status!r}")
    if not letter.body:
        raise ValueError("body: the job's bytes are missing")
    return letter

"""A letter: all that is known of a dead letter. It travels as a line of JSON: `export` writes it, `import` reads it.

Where the job's answer goes to stays in the ledger: whoever knows that URL can write to a person. A letter that is
shown, or moved to another database, is `unaddressed`.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import replace
from typing import Annotated, Self

from psycopg import Connection
from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from worker.dead_letters.acts import is_text
from worker.envelope import ClockNumber, Envelope, decode, unaddressed
from worker.errors import Damaged
from worker.query import query


def _storable(text: str) -> str:
    if not is_text(text):
        raise ValueError("text that PostgreSQL can't keep")
    return text


def _base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise ValueError("expected base64") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_storable)]
Base64 = Annotated[str, AfterValidator(_base64)]
Count = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class Letter:
    """A job that was a dead letter, or is; `body` and `original` (before an edit) are base64."""

    id: Name
    kind: Name
    lane: Name
    seq: ClockNumber
    actor: Text
    reason: Text | None
    digest: Text
    status: str
    code: Text
    message: Text
    attempts: Count
    worker: Text
    token: Annotated[int, Field(ge=0, lt=2**63)]
    enqueued_at: AwareDatetime
    first_attempt_at: AwareDatetime | None
    finished_at: AwareDatetime
    error_class: Text | None
    sqlstate: Text | None
    error: Text | None
    traceback: Text | None
    replays: Count
    body: Base64 | None
    original: Base64 | None

    @property
    def job(self) -> bytes:
        """The job's bytes, as a replay would send them."""
        return b64decode(self.body or "")

    @property
    def before_edit(self) -> bytes:
        """The bytes that it came with, if it was edited."""
        return b64decode(self.original or "")

    def unaddressed(self) -> Self:
        """The letter without the URL that its job's answer goes to."""
        return replace(self, body=_unaddressed(self.body), original=_unaddressed(self.original))

    @property
    def envelope(self) -> Envelope | None:
        """What the bytes say; None if they are no envelope."""
        try:
            return decode(self.job)
        except Damaged:
            return None


def _unaddressed(text: str | None) -> str | None:
    return text and b64encode(unaddressed(b64decode(text))).decode()


LETTER = TypeAdapter(Letter)


def letter_of(connection: Connection, job_id: str) -> Letter:
    """The letter of a job that the ledger knows, as it stands there."""
    (raw,) = connection.execute(query("dead_export"), {"ids": [job_id]}, prepare=False).fetchone() or ("",)
    return LETTER.validate_json(raw)

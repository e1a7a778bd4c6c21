"""An entry: one job of a claim on its way through a batch, and the end that it comes to."""

from base64 import b64encode
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Self

from worker.envelope import Envelope, decode
from worker.errors import Damaged, InvalidJob, UnknownKind
from worker.job import Job, parse
from worker.outcome import packed
from worker.verdict import Failure, Fault


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended; rows are JSON texts. `repeated` means that the ledger knew it already."""

    status: str
    code: str
    message: str
    before: str | None = None
    after: str | None = None
    failure: Failure | None = None
    traceback: str | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One job of a claim. `job` is None when it can't be run: then `end` says why, or its kind is not known yet."""

    raw: bytes
    envelope: Envelope
    job: Job | None
    end: End | None
    attempts: int
    first_attempt: int

    @classmethod
    def read(cls, lane: str, raw: bytes, attempts: int, first_attempt: int) -> Self:
        """The entry for these bytes of a lane; whatever they are, an entry comes of them.

        `attempts` counts this one, `first_attempt` is when the first began, in µs.
        """
        job, end = None, None
        try:
            envelope = decode(raw)
            job, end = _job_or_end(lane, envelope)
        except Damaged as error:
            digest = blake2b(lane.encode() + b"\0" + raw, digest_size=9).hexdigest()
            envelope = Envelope(0, f"damaged:{digest}", "?", lane, "?", None, 0, digest, None)
            end = dead("damaged", Failure(Fault.PERMANENT, "Damaged", None, str(error)))
        return cls(raw, envelope, job, end, attempts, first_attempt)

    def ended(self, end: End) -> "Entry":
        """The same entry with its end decided: a batch only records it."""
        return replace(self, end=end)

    @property
    def queued_as(self) -> str:
        """The id under which it waits in its lane: its own, unless that one turned out to be another job's."""
        reused = self.end is not None and self.end.code == "id_reused"
        return self.envelope.id.removesuffix(f"~{self.envelope.digest}") if reused else self.envelope.id

    def ledger_row(self, end: End) -> dict[str, Any]:
        """What record.sql takes; a dead letter keeps its bytes and its error."""
        e = self.envelope
        row: dict[str, Any] = {
            "id": e.id,
            "kind": e.kind,
            "lane": e.lane,
            "seq": e.seq,
            "actor": e.actor,
            "reason": e.reason,
            "digest": e.digest,
            "status": end.status,
            "code": end.code,
            "message": end.message,
            "before": end.before,
            "after": end.after,
            "attempts": self.attempts,
            "at": e.at,
        }
        if end.failure is not None:
            row["error_class"], row["sqlstate"] = end.failure.error_class, end.failure.sqlstate
            row["error"], row["traceback"] = end.failure.message, end.traceback
            row["first_attempt"] = self.first_attempt
            row["body"] = b64encode(self.raw).decode()
            return {name: _storable(value) for name, value in row.items()}
        return row

    def outcome(self, end: End) -> bytes:
        """What `wait` reads."""
        return packed(self.envelope.digest, end.status, end.code, end.message, end.before, end.after)


def _job_or_end(lane: str, envelope: Envelope) -> tuple[Job | None, End | None]:
    """The job; or why it can never be run; or neither, when its kind is not known yet."""
    try:
        job = parse(envelope.kind, envelope.payload)
    except UnknownKind:
        return None, None
    except InvalidJob as error:
        return None, dead("invalid", Failure(Fault.PERMANENT, "InvalidJob", None, str(error)))
    if job.lane() == envelope.lane == lane:
        return job, None
    found = f"it stands on {lane!r}, is addressed to {envelope.lane!r}, and its payload belongs on {job.lane()!r}"
    return None, dead("wrong_lane", Failure(Fault.PERMANENT, "WrongLane", None, found))


def _storable(value: Any) -> Any:
    """PostgreSQL's text knows no NUL; the original bytes are kept beside it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def dead(code: str, failure: Failure, traceback: str | None = None) -> End:
    """The end of a job that needs an operator."""
    message = "This could not be carried out. The operators have been told and can repeat it."
    return End("dead", code, message, failure=failure, traceback=traceback)

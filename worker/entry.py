"""An entry: one job of a claim on its way through a batch, and the end that it comes to."""

from base64 import b64encode
from hashlib import blake2b
from typing import Any, NamedTuple, Self

from pydantic_core import from_json

from worker.envelope import Envelope, decode
from worker.errors import Damaged, InvalidJob, OnelaneError, UnknownKind, WrongLane
from worker.job import Job, parse
from worker.outcome import packed
from worker.verdict import Failure, Fault, NotKnownYet


class End(NamedTuple):
    """How a job ended; rows are JSON texts. `repeated` means that the ledger knew it already."""

    status: str
    code: str
    message: str
    before: str | None = None
    after: str | None = None
    failure: Failure | None = None
    traceback: str | None = None
    repeated: bool = False


class Entry(NamedTuple):
    """One job of a claim. `job` is None when it can't be run: then `end` or `error` says why."""

    raw: bytes
    envelope: Envelope
    job: Job | None
    end: End | None
    attempts: int
    first_attempt: int
    error: Exception | None = None
    """What applying it shall fail with: its kind is not known yet, or its own code breaks on the payload."""

    @classmethod
    def read(cls, lane: str, raw: bytes, attempts: int, first_attempt: int) -> Self:
        """The entry for these bytes of a lane; whatever they are, an entry comes of them.

        `attempts` counts this one, `first_attempt` is when the first began, in µs.
        """
        job: Job | None = None
        end: End | None = None
        failed: Exception | None = None
        try:
            envelope = decode(raw)
            job = _job(lane, envelope)
        except Damaged as error:
            digest = blake2b(lane.encode() + b"\0" + raw, digest_size=9).hexdigest()
            envelope = Envelope(0, f"damaged:{digest}", "?", lane, "?", None, 0, digest, None)
            end = _never("damaged", error)
        except UnknownKind:
            failed = NotKnownYet(f"this worker knows no kind {envelope.kind!r}")
        except InvalidJob as error:
            end = _never("invalid", error)
        except WrongLane as error:
            end = _never("wrong_lane", error)
        except Exception as error:  # noqa: BLE001 - a kind's own code may raise anything; it is judged as if it had run
            failed = error
        return cls(raw, envelope, job, end, attempts, first_attempt, failed)

    def ended(self, end: End) -> "Entry":
        """The same entry with its end decided: a batch only records it."""
        return self._replace(end=end)

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


def _job(lane: str, envelope: Envelope) -> Job:
    """The job. Raises UnknownKind, InvalidJob, WrongLane, and what its kind's own code raises."""
    job = parse(envelope.kind, envelope.payload)
    if job.lane() == envelope.lane == lane:
        return job
    raise WrongLane(
        f"it stands on {lane!r}, is addressed to {envelope.lane!r}, and its payload belongs on {job.lane()!r}"
    )


def _never(code: str, error: OnelaneError) -> End:
    """The end of a job that can never be run."""
    return dead(code, Failure(Fault.PERMANENT, type(error).__name__, None, str(error)))


def _storable(value: Any) -> Any:
    """PostgreSQL's text knows no NUL; the original bytes are kept beside it."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def dead(code: str, failure: Failure, traceback: str | None = None) -> End:
    """The end of a job that needs an operator."""
    message = "This could not be carried out. The operators have been told and can repeat it."
    return End("dead", code, message, failure=failure, traceback=traceback)


def cancelled(note: bytes) -> End:
    """The end of a job that an operator took out; the note says why."""
    return End("cancelled", "cancelled", f"An operator cancelled this: {from_json(note)['why']}")

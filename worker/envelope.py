"""The envelope: a job's bytes in its lane, and their codec.

    {"seq":…,"id":"…","kind":"user.upsert","lane":"user:U0EXAMPLE01","actor":"…","reason":…,"at":…,"digest":"…","payload":{…}}

`seq` is put in front by the script that queues the job (enqueue.lua). `at` is the time of the enqueue in µs. `digest`
tells whether the same id stands for the same payload, without comparing payloads. `reply_to`, if it is there, is the
URL where somebody waits for an answer; who knows it can write to that person, so it is shown nowhere (`unaddressed`).
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticSerializationError, from_json, to_json

from worker.errors import Damaged, InvalidJob
from worker.job import Job, explain, payload_of

LARGEST_NUMBER = 2**53
"""What Lua can count to; as µs since 1970 it lasts until the year 2255."""

ClockNumber = Annotated[int, Field(ge=0, lt=LARGEST_NUMBER)]
Name = Annotated[str, Field(max_length=250)]
"""No longer than what an index of PostgreSQL takes."""


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True, extra="forbid"))
class Envelope:
    """What stands around a payload."""

    seq: ClockNumber
    id: Name
    kind: Name
    lane: Name
    actor: Name
    reason: str | None
    at: ClockNumber
    digest: Name
    payload: Any
    reply_to: Annotated[str, Field(max_length=500)] | None = Field(default=None, repr=False)

    @property
    def enqueued_at(self) -> datetime:
        """The time of the enqueue, UTC."""
        return datetime.fromtimestamp(self.at / 1_000_000, UTC)


ENVELOPE = TypeAdapter(Envelope)
NUL = rb"\u0000"
"""How JSON writes it; the byte itself is no JSON."""
ADDRESS = re.compile(rb'"reply_to"\s*:\s*"[^"]*"?')
"""In bytes that are no JSON."""


def encode(
    job: Job, *, lane: str, job_id: str, actor: str, reason: str | None, at: int, reply_to: str | None = None
) -> tuple[str, bytes]:
    """The digest, and the envelope without its `seq`. Raises InvalidJob for what no statement could take."""
    around = {"id": job_id, "kind": job.kind, "lane": lane, "actor": actor, "reason": reason, "at": at}
    tail = {} if reply_to is None else {"reply_to": reply_to}
    try:
        payload = payload_of(job)
        digest = digest_of(job.kind, payload)
        body = to_json({**around, "digest": digest, "payload": payload, **tail})
    except (PydanticSerializationError, UnicodeError) as error:
        if "surrogates" in str(error):
            raise InvalidJob("payload: its text is not valid Unicode (a lone surrogate)") from None
        raise InvalidJob(f"payload: expected what JSON can say ({error})") from None
    if NUL in body and (where := _nul_in(payload, "payload")):
        raise InvalidJob(f"{where}: expected text without NUL")
    return digest, body


def _nul_in(value: Any, path: str) -> str | None:
    """Where NUL stands in a payload; jsonb knows none, so its job could only become a dead letter."""
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        found = (_nul_in(name, path) or _nul_in(each, f"{path}.{name}") for name, each in value.items())
    else:
        found = (_nul_in(each, f"{path}.{n}") for n, each in enumerate(value if isinstance(value, list) else ()))
    return next(filter(None, found), None)


def digest_of(kind: str, payload: Any) -> str:
    """A short fingerprint of what a job does; the order of an object's keys does not count."""
    return hashlib.blake2b(to_json((kind, _sorted(payload))), digest_size=9).hexdigest()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def decode(raw: bytes) -> Envelope:
    """The envelope of these bytes. Raises Damaged that says what is wrong with them."""
    try:
        envelope = ENVELOPE.validate_json(raw)
    except ValidationError as error:
        raise Damaged(explain(error)) from None
    if NUL in raw:
        _refuse_nul(envelope)
    return envelope


def unaddressed(raw: bytes) -> bytes:
    """A job's bytes for other eyes than a worker's: without `reply_to`. The same bytes if they have none."""
    try:
        found = from_json(raw)
    except ValueError:
        return ADDRESS.sub('"reply_to":"…"'.encode(), raw)
    if not isinstance(found, dict) or "reply_to" not in found:
        return raw
    del found["reply_to"]
    return to_json(found)


def _refuse_nul(envelope: Envelope) -> None:
    """PostgreSQL's text knows no NUL, so what stands around a payload can't be recorded with one."""
    for name in ("id", "kind", "lane", "actor", "reason", "digest", "reply_to"):
        if "\0" in (getattr(envelope, name) or ""):
            raise Damaged(f"{name}: expected text without NUL")


def envelope_of(job: bytes) -> Envelope | None:
    """The envelope of these bytes, None if they are none."""
    try:
        return decode(job)
    except Damaged:
        return None


def described(job: bytes) -> dict[str, Any]:
    """What an envelope says, by name, in an order for people; nothing when these bytes are none."""
    found = envelope_of(job)
    if found is None:
        return {}
    return {
        "id": found.id,
        "kind": found.kind,
        "lane": found.lane,
        "actor": found.actor,
        "reason": found.reason,
        "enqueued_at": found.enqueued_at,
        "payload": found.payload,
    }

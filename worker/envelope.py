"""The envelope: a job's bytes in its lane, and their codec.

    {"seq":…,"id":"…","kind":"user.upsert","lane":"user:U0EXAMPLE01","actor":"…","reason":…,"at":…,"digest":"…","payload":{…}}

`seq` is put in front by the script that queues the job (enqueue.lua). `at` is the time of the enqueue in µs. `digest`
tells whether the same id stands for the same payload, without comparing payloads.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic_core import from_json, to_json

from worker.errors import Damaged
from worker.job import Job


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around a payload."""

    seq: int
    id: str
    kind: str
    lane: str
    actor: str
    reason: str | None
    at: int
    digest: str
    payload: Any

    @property
    def enqueued_at(self) -> datetime:
        """The time of the enqueue, UTC."""
        return datetime.fromtimestamp(self.at / 1_000_000, UTC)


LARGEST_NUMBER = 2**53
"""What Lua can count to; as µs since 1970 it lasts until the year 2255."""

FIELD_TYPES: dict[str, type | tuple[type, ...]] = {
    "seq": int,
    "id": str,
    "kind": str,
    "lane": str,
    "actor": str,
    "reason": (str, type(None)),
    "at": int,
    "digest": str,
}


def encode(job: Job, *, lane: str, job_id: str, actor: str, reason: str | None, at: int) -> tuple[str, bytes]:
    """The digest, and the envelope without its `seq`."""
    payload = job.model_dump(mode="json")
    digest = digest_of(job.kind, payload)
    head = {"id": job_id, "kind": job.kind, "lane": lane, "actor": actor, "reason": reason, "at": at, "digest": digest}
    return digest, to_json({**head, "payload": payload})


def digest_of(kind: str, payload: Any) -> str:
    """A short fingerprint of what a job does."""
    return hashlib.blake2b(to_json((kind, payload)), digest_size=9).hexdigest()


def decode(raw: bytes) -> Envelope:
    """The envelope of these bytes. Raises Damaged that says what is wrong with them."""
    try:
        fields = from_json(raw)
    except ValueError as error:
        raise Damaged(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise Damaged("not a JSON object")
    for name, expected in FIELD_TYPES.items():
        if not isinstance(fields.get(name), expected) or isinstance(fields.get(name), bool):
            raise Damaged(f"{name}: missing, or of another type than an envelope's")
    if not (0 <= fields["seq"] < LARGEST_NUMBER and 0 <= fields["at"] < LARGEST_NUMBER):
        raise Damaged("seq, at: expected numbers of the lanes' clock")
    try:
        return Envelope(**fields)
    except TypeError:
        raise Damaged("not an envelope's fields") from None

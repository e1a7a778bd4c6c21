"""Edit: the payload of one dead letter is mended before its replay.

It stays the same job: its id, its number, its lane, who asked for it and when. Its new bytes must be a job that its
kind accepts and that stays on its lane; the bytes that it came with are kept beside them. Bytes that were no job can
become one, in the name of the operator who says which.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from psycopg import Connection
from psycopg.types.json import Json

from worker.dead_letters.acts import check_operator
from worker.dead_letters.letter import Letter, letter_of
from worker.dead_letters.outlook import UNKNOWN, outlooks
from worker.enqueue import order
from worker.envelope import Envelope, encode
from worker.errors import InvalidJob, OnelaneError
from worker.fields import json_or_text, read_fields, with_fields
from worker.job import Job, kind_of, parse, payload_of
from worker.query import query
from worker.settings import Settings

JOB_KEYS = {"kind", "payload"}


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit does: another payload, even of another kind, or some of the payload's fields."""

    kind: str | None = None
    payload: Any = None
    fields: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, words: Iterable[str]) -> Self:
        """From `field=value`, a JSON payload, or JSON with `kind` and `payload`.

        Raises InvalidJob that names what is none of these.
        """
        words = list(words)
        kind, payload = None, None
        for text in (word for word in words if word.startswith("{")):
            found = json_or_text(text)
            if not isinstance(found, dict):
                raise InvalidJob(f"{text!r}: expected valid JSON")
            kind, payload = (found["kind"], found["payload"]) if found.keys() == JOB_KEYS else (None, found)
        return cls(kind, payload, read_fields(word for word in words if not word.startswith("{")))

    def job(self, before: Envelope) -> Job:
        """The job that a letter becomes. Raises InvalidJob, UnknownKind."""
        kind = kind_of(self.kind or before.kind)
        payload = before.payload if self.payload is None else self.payload
        if not isinstance(payload, dict):
            raise InvalidJob('There is no payload to change: give all of it, {"kind": …, "payload": {…}}.')
        return parse(kind.kind, with_fields(kind, payload, self.fields))


def edit(
    connection: Connection, job_id: str, change: Change, settings: Settings, *, actor: str, reason: str | None = None
) -> Job:
    """Change one dead letter, in a transaction or a part of the caller's; the job that it is now.

    Raises Refused that names the field and what was expected; OnelaneError when no dead letter waits under this id.
    """
    check_operator(actor, reason)
    with connection.transaction():
        found = outlooks(connection, [job_id], lock=True)
        if not found or found[0].status != "dead":
            why = UNKNOWN if not found else "It is on its way back." if found[0].is_dead else found[0].no_dead_letter()
            raise OnelaneError(f"{job_id}: {why}")
        letter = letter_of(connection, job_id)
        before = letter.envelope or _nobodys(letter, actor)
        job = change.job(before)
        order(job, settings, actor=before.actor, job_id=job_id, reason=before.reason, lane=letter.lane)
        digest, body = encode(
            job,
            lane=letter.lane,
            job_id=job_id,
            actor=before.actor,
            reason=before.reason,
            at=before.at,
            reply_to=before.reply_to,
        )
        values = {
            "id": job_id,
            "body": b'{"seq":%d,%s' % (letter.seq, body[1:]),
            "kind": job.kind,
            "digest": digest,
            "by": before.actor,
            "actor": actor,
            "reason": reason,
            "details": Json({"before": before.payload, "after": payload_of(job)}),
        }
        connection.execute(query("dead_edit"), values, prepare=False)
    return job


def _nobodys(letter: Letter, actor: str) -> Envelope:
    """What stands around a payload when nothing is known of the one that it had."""
    return Envelope(letter.seq, letter.id, letter.kind, letter.lane, actor, None, time.time_ns() // 1000, "", None)

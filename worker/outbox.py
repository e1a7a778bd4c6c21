"""The outbox: jobs that are part of somebody's own transaction. It needs a psycopg connection and nothing else."""

from typing import Any

from pydantic_core import to_json

from worker.job import Job, payload_of
from worker.query import query


def put(connection: Any, job: Job, *, actor: str, reason: str | None, job_id: str, reply_to: str | None = None) -> None:
    """Write a job into the outbox, in the connection's own transaction; the relay delivers it after the commit."""
    payload = to_json(payload_of(job)).decode()
    row = {"id": job_id, "kind": job.kind, "payload": payload, "actor": actor, "reason": reason, "reply_to": reply_to}
    connection.execute(query("outbox_put"), row)

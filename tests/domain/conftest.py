"""A desk where jobs are handed in and applied at once, through the engine's own batch, on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg.rows import dict_row
from pydantic_core import from_json

from tasks.triage_job import TriageJob
from worker import Job, Outcome
from worker.batch import apply
from worker.database import connect
from worker.enqueue import order
from worker.entry import Entry
from worker.settings import Settings

ADMIN = "U0ADMIN"


class Desk:
    """Applies jobs, each in a batch of its own unless handed in together, and looks at what they left."""

    def __init__(self, url: str) -> None:
        self.settings = Settings(database_url=url)
        self.connection = connect(self.settings)
        self.context: dict[str, Any] = {"time_zone": "America/Los_Angeles", "fallback": {}, "copies": {}}
        self._clock = 0

    def do(self, job: Job, *, actor: str = ADMIN, job_id: str | None = None, reason: str | None = None) -> Outcome:
        """The outcome of one job."""
        (outcome,) = self.do_all([job], actor=actor, job_id=job_id, reason=reason)
        return outcome

    def do_all(
        self, jobs: list[Job], *, actor: str = ADMIN, job_id: str | None = None, reason: str | None = None
    ) -> list[Outcome]:
        """The outcomes of jobs that are applied in one batch."""
        lanes: dict[str, list[Entry]] = {}
        for job in jobs:
            self._clock += 1
            made = order(job, self.settings, actor=actor, job_id=job_id, reason=reason)
            raw = b'{"seq":%d,%s' % (self._clock, made.body[1:])
            lanes.setdefault(made.lane, []).append(Entry.read(made.lane, raw, 1, 0))
        batch = apply(self.connection, self._clock, "desk", lanes)
        ends = {entry.envelope.seq: end for pairs in batch.ends.values() for entry, end in pairs}
        return [
            Outcome(end.status, end.code, end.message, _json(end.before), _json(end.after))
            for _, end in sorted(ends.items())
        ]

    def at(self, moment: str) -> None:
        """The time that the statements go by from now on, for example 2030-01-15T08:00:00-08:00."""
        self.context["now"] = datetime.fromisoformat(moment).astimezone(UTC).isoformat()

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        return self.connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()

    def values(self, query: str, *parameters: Any) -> list[Any]:
        """The first column of a query."""
        return [row[0] for row in self.connection.execute(query, parameters)]

    def audits(self) -> list[tuple[str, str]]:
        """Each audit row so far: table and operation, in order."""
        return self.connection.execute("SELECT table_name, operation FROM audit_logs ORDER BY id").fetchall()

    def effects(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of the effects so far, in order."""
        return self.values("SELECT payload FROM onelane.outbox WHERE topic = 'effect' AND kind = %s ORDER BY id", kind)

    def follow_ups(self) -> list[tuple[str, dict[str, Any]]]:
        """The jobs that were left in the outbox so far, in order."""
        return self.connection.execute(
            "SELECT kind, payload FROM onelane.outbox WHERE topic = 'job' ORDER BY id"
        ).fetchall()

    def state(self) -> dict[str, Any]:
        """The sprint and the people on duty."""
        (row,) = self.rows(
            "SELECT sprint_index, account_slack_id AS account, producer_slack_id AS producer, po_slack_id AS po,"
            " ui_eng_slack_id AS ui_eng, be_eng_slack_id AS be_eng FROM current_state"
        )
        return row

    def forget_outbox(self) -> None:
        """As if the relay had delivered all."""
        self.connection.execute("DELETE FROM onelane.outbox")


def _json(text: str | None) -> Any:
    return None if text is None else from_json(text)


@pytest.fixture
def desk(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk on a database of its own; its `context` takes the place of the process's settings."""
    opened = Desk(database_url)
    monkeypatch.setattr(TriageJob, "context", classmethod(lambda _: opened.context))
    with opened.connection:
        yield opened

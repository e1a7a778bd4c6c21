"""Today's bot: how it does what people want, statement by statement.

It reads, then decides, then writes, with nothing that holds the three together; and it writes the audit row through
another connection of its pool, swallowing what goes wrong there. Each intent is a generator that pauses where real time
passes: between reading and writing, or while Slack is called. Its retries are left out: they try the same again seconds
later, and a second discipline is refused as before.
"""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.types.json import Jsonb

from tasks.demo.intents import CURRENT_SPRINT
from tasks.demo.query import query
from tasks.overrides import ApproveOverride, DeclineOverride, OverrideJob, RequestOverride
from tasks.rotation import SetRoles
from tasks.sprints import AppendSprint
from tasks.triage_job import TriageJob
from tasks.users import UpsertUser
from tasks.values import ROLES


@dataclass(frozen=True, slots=True)
class Answer:
    """What the person was told: done, no, or an error; and a code."""

    answer: str
    code: str


Acting = Generator[None, None, Answer]
DONE = Answer("done", "done")
NO_FEEDBACK = Answer("no", "no feedback")


class TodaysBot:
    """One process of today's bot: a connection for what it does, another one for its audit rows."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._pool = psycopg.connect(url, autocommit=True)
        self.refused: Counter[str] = Counter()
        """Audit rows that the database refused, by constraint; the bot itself says nothing about them."""

    def close(self) -> None:
        """Leave the database."""
        self._connection.close()
        self._pool.close()

    def act(self, job: TriageJob) -> Acting:
        """Do what the job asks for; pauses once, and returns what the person was told."""
        match job:
            case UpsertUser():
                return self._add_user(job)
            case AppendSprint():
                return self._add_sprint(job)
            case SetRoles():
                return self._set_roles(job)
            case RequestOverride():
                return self._request(job)
            case ApproveOverride():
                return self._approve(job)
            case DeclineOverride():
                return self._decline(job)
            case _:
                raise TypeError(job.kind)

    def _add_user(self, job: UpsertUser) -> Acting:
        yield
        try:
            self._save("users", "add_user", job.model_dump())
        except psycopg.errors.UniqueViolation as error:
            return Answer("error", error.diag.constraint_name or "unique")
        return DONE

    def _add_sprint(self, job: AppendSprint) -> Acting:
        (index,) = self._row("next_index")
        yield
        self._save("sprints", "add_sprint", {**job.model_dump(), "sprint_index": index})
        return DONE

    def _set_roles(self, job: SetRoles) -> Acting:
        """The form shows all five roles, and sends all five back."""
        form = self._state()
        yield
        self._save("current_state", "save_state", {**form, **{role: change.to for role, change in job.roles.items()}})
        return DONE

    def _request(self, job: RequestOverride) -> Acting:
        yield
        self._save("overrides", "request_override", job.model_dump())
        return DONE

    def _approve(self, job: ApproveOverride) -> Acting:
        row = self._row("approve_override", job.model_dump())
        if row:
            self._audit("overrides", row[0], "UPDATE", None, row[1], job.approved_by)
        current = job.sprint_index == CURRENT_SPRINT
        state = self._rotation() if row and current else None
        yield  # Slack is called: messages, user group, topic
        if state is not None:
            self._save("current_state", "save_state", state)
        return DONE if row else NO_FEEDBACK

    def _decline(self, job: DeclineOverride) -> Acting:
        with self._connection.transaction():
            row = self._row("find_override", _key(job))
            yield
            self._connection.execute(query("today/decline_override"), _key(job))
            if row:
                self._audit("overrides", row[0], "DELETE", row[1], None, job.declined_by)
        return DONE if row else NO_FEEDBACK

    def _rotation(self) -> dict[str, Any]:
        """All five roles of the current sprint: an approved override, else the list of active people."""
        covers: dict[str, str] = {}
        for role, slack_id in self._rows("read_overrides", {"sprint_index": CURRENT_SPRINT}):
            covers.setdefault(role, slack_id)
        lists: dict[str, list[str]] = {role: [] for role in ROLES}
        for role, slack_id in self._rows("read_people"):
            lists[role].append(slack_id)
        roles = {role: covers.get(role) or people[CURRENT_SPRINT % len(people)] for role, people in lists.items()}
        return {"sprint_index": CURRENT_SPRINT, **roles}

    def _state(self) -> dict[str, Any]:
        return dict(zip(("sprint_index", *ROLES), self._row("read_state"), strict=True))

    def _save(self, table: str, statement: str, values: dict[str, Any]) -> None:
        row = self._row(statement, values)
        self._audit(table, row[0], "UPSERT", None, row[1], "dataUtils")

    def _audit(self, table: str, record_id: int, operation: str, old: Any, new: Any, changed_by: str) -> None:
        """The bot's logAudit: an operation that the table's CHECK does not know is refused, and nobody hears of it."""
        values = {"table_name": table, "record_id": record_id, "operation": operation, "changed_by": changed_by}
        rows = {"old": Jsonb(old) if old else None, "new": Jsonb(new) if new else None, "reason": None}
        try:
            self._pool.execute(query("today/audit"), {**values, **rows})
        except psycopg.errors.CheckViolation as error:
            self.refused[error.diag.constraint_name or "check"] += 1

    def _row(self, statement: str, values: dict[str, Any] | None = None) -> tuple[Any, ...]:
        found: Connection[tuple[Any, ...]] = self._connection
        return found.execute(query(f"today/{statement}"), values).fetchone() or ()

    def _rows(self, statement: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(query(f"today/{statement}"), values).fetchall()


def _key(job: OverrideJob) -> dict[str, Any]:
    return job.model_dump(include={"sprint_index", "role", "requested_by", "replacement_slack_id"})

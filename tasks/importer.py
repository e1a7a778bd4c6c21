"""Hands in the jobs of an import, phase by phase: a phase begins when the jobs of the one before have ended.

The order is that of what needs what: sprints make the rotation look at the people, overrides need their sprint, and who
is on duty is compared with what all of these give.

Who was on duty may have been chosen by hand, so it is imported too, but never over anything newer. The calendar says
which sprint is current, and the state follows it; so a state of another sprint is passed over. For the current one,
what people, sprints and overrides give is on duty already, and `rotation.set_roles` puts the file's people in their
place, each only if the role is still held as it was seen. A state that somebody has set by hand since is left alone,
and one state is imported once.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, LiteralString

from psycopg import Connection
from redis.exceptions import RedisError

from tasks.import_plan import Plan, Planned, State
from tasks.rotation import RefreshRotation, SetRoles, TransitionRotation
from tasks.settings import triage_settings
from tasks.values import ROLES
from worker import Client, Job, Outcome
from worker.enqueue import Order, order
from worker.envelope import digest_of
from worker.errors import NoOutcome, OnelaneError

STALL_SECONDS = 10.0
"""How long to wait for the next outcome before it is clear that no worker is there."""
LOOK_SECONDS = 0.05
STATE_FILE = "currentState.json"
BY_HAND = "Imported from currentState.json"
COMPUTED = ("Rotation refreshed", "Rotation recomputed", BY_HAND)
"""The reasons of changes that nobody has made by hand after the import."""


class Stalled(OnelaneError):
    """The jobs of a phase do not end, so the next one can't begin."""


@dataclass(frozen=True, slots=True)
class _Known:
    """How a job has ended at an earlier import."""

    status: str
    message: str


class Importer:
    """One import. `advance` is called for each job that is done with."""

    def __init__(
        self, client: Client, database: Connection, actor: str, advance: Callable[[], object] = lambda: None
    ) -> None:
        self._client, self._database, self._actor, self._advance = client, database, actor, advance
        self.handed_in: Counter[str] = Counter(dict.fromkeys(("enqueued", "duplicates", "spooled", "refused"), 0))
        self.ends: Counter[str] = Counter()

    def known(self, ids: Sequence[str]) -> dict[str, _Known]:
        """Which of these jobs have ended at an earlier import, and how."""
        rows = self._database.execute(_query("known"), {"ids": list(ids)})
        return {job_id: _Known(status, message) for job_id, status, message in rows}

    def run(self, plan: Plan) -> None:
        """Import all that the plan says; what went wrong with a row is added to its problems.

        Raises Stalled, psycopg.Error, redis.RedisError; what was done by then need not be done again.
        """
        for phase in plan.phases:
            plan.problems += self._do(phase)
        if plan.state is not None:
            self._do_state(plan, plan.state)

    def _do(self, phase: Sequence[Planned]) -> list[str]:
        known = self.known([planned.id for planned in phase])
        problems = [
            f"{planned.where}: at an earlier import this was {known[planned.id].status}: {known[planned.id].message}"
            for planned in phase
            if planned.id in known and known[planned.id].status not in {"applied", "unchanged"}
        ]
        self._count("duplicate", len(known))
        for _ in known:
            self._advance()
        fresh = [planned for planned in phase if planned.id not in known]
        orders = [self._order(planned.job, planned.id) for planned in fresh]
        return problems + self._hand_in([planned.where for planned in fresh], orders)

    def _order(self, job: Job, job_id: str | None, reason: str | None = None) -> Order:
        return order(job, self._client.settings, actor=self._actor, job_id=job_id, reason=reason)

    def _hand_in(self, places: Sequence[str], orders: list[Order]) -> list[str]:
        """Hand in jobs and wait for their ends; a sentence for each that did not do what it should."""
        problems, waiting = [], []
        for place, handle in zip(places, self._client.submit(orders), strict=True):
            self._count(handle.state)
            if handle.error is not None:
                problems.append(f"{place}: {handle.error}")
                self._advance()
            else:
                waiting.append((place, handle))
        for number, (place, handle) in enumerate(waiting):
            outcome = self._outcome(handle.id, len(waiting) - number)
            self.ends[outcome.status] += handle.state != "duplicate"
            if outcome.status not in {"applied", "unchanged"}:
                problems.append(f"{place}: {outcome.status}: {outcome.message}")
            self._advance()
        return problems

    def _count(self, state: str, number: int = 1) -> None:
        self.handed_in[{"queued": "enqueued", "duplicate": "duplicates"}.get(state, state)] += number

    def _outcome(self, job_id: str, rest: int) -> Outcome:
        try:
            return self._client.wait(job_id, STALL_SECONDS)
        except (NoOutcome, RedisError):
            raise Stalled(
                f"No job has ended for {STALL_SECONDS:g} s; {rest} are handed in, and what needs them is not. Is a "
                "worker running (`onelane worker`)? Then run this again: nothing is imported twice."
            ) from None

    def _do_state(self, plan: Plan, state: State) -> None:
        digest = digest_of("state", state.model_dump(mode="json"))
        put_id, moved_id = f"import:state:{digest}", f"import:transition:{digest}"
        if self.known([put_id]):
            self._count("duplicate")
            return
        if state.sprint_index not in sprints_of(self._database):
            plan.problems.append(f"{STATE_FILE}: there is no sprint {state.sprint_index}.")
            return
        self._let_the_rotation_follow()
        stored, _, current, by_hand = self._look()
        if why_not := _why_not(state, stored, current, by_hand=by_hand):
            plan.notes.append(f"{STATE_FILE} is passed over: {why_not}.")
            return
        if stored is None:
            moved = TransitionRotation(sprint_index=state.sprint_index)
            if problems := self._hand_in([STATE_FILE], [self._order(moved, moved_id, BY_HAND)]):
                plan.problems += problems
                return
        _, roles, _, _ = self._look()
        changes = {role: {"from": (roles or {}).get(role), "to": state.roles[role]} for role in ROLES}
        put = SetRoles.model_validate({"expected_sprint_index": state.sprint_index, "roles": changes})
        plan.problems += self._hand_in([STATE_FILE], [self._order(put, put_id, BY_HAND)])

    def _let_the_rotation_follow(self) -> None:
        """Wait until the rotation has followed all that was imported: its lane does one job after the other."""
        deadline = time.monotonic() + STALL_SECONDS
        while self._one("follow_ups")[0]:
            if time.monotonic() > deadline:
                raise Stalled(
                    "What follows from the import waits in the outbox: is a worker running (`onelane worker`)?"
                )
            time.sleep(LOOK_SECONDS)
        (behind,) = self._client.submit([self._order(RefreshRotation(), None)])
        self._outcome(behind.id, 1)

    def _look(self) -> tuple[int | None, dict[str, Any] | None, int | None, bool]:
        """The stored sprint and roles, the sprint of the calendar, and whether anybody has set the state by hand."""
        values = {"time_zone": triage_settings().time_zone, "computed": list(COMPUTED)}
        stored, roles, current, by_hand = self._one("state", values)
        return stored, roles, current, by_hand

    def _one(self, name: str, values: dict[str, Any] | None = None) -> tuple[Any, ...]:
        found: Any = self._database.execute(_query(name), values).fetchone()
        return tuple(found)


def _why_not(state: State, stored: int | None, current: int | None, *, by_hand: bool) -> str | None:
    """Why this state must not be put over what there is; None when it may."""
    if current not in {None, state.sprint_index}:
        return f"it is of sprint {state.sprint_index}, and by the calendar sprint {current} runs"
    if stored not in {None, state.sprint_index}:
        return f"it is of sprint {state.sprint_index}, and the rotation is on sprint {stored}"
    if stored is not None and by_hand:
        return "who is on duty was set by hand since"
    return None


def sprints_of(database: Connection) -> set[int]:
    """The indices of the sprints that the database has."""
    return {index for (index,) in database.execute(_query("sprints"))}


@cache
def _query(name: str) -> LiteralString:
    return resources.files("tasks").joinpath("sql", f"import.{name}.sql").read_text(encoding="utf-8")

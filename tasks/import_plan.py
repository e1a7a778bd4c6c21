"""From the bot's JSON files to jobs: what can be imported, and what can't and why.

Nothing here looks at the services. What is wrong with one row leaves out that row: it is named, the others go on.

- An `active` person of a file may have been deactivated since, so only `"active": false` says anything; else a row that
  is there stays as it is, and a new one is active.
- A sprint's index is its `sprintIndex`, else its position. Sprints behind a gap are left out: the bot counts positions.
- Equal requests become one, the approved one if there is one. An approval without a name counts as the importer's.
- An id is made of the job's content, so a row that was imported is not imported twice, even if it was changed since.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.bot_files import (
    FILES,
    OVERRIDE,
    PERSON,
    SPRINT,
    STATE,
    BadFile,
    Entry,
    File,
    columns_of,
    entries,
    file_name,
    read,
)
from tasks.overrides import ApproveOverride, RequestOverride
from tasks.sprints import ImportSprints, NumberedSprint
from tasks.users import UpsertUser
from tasks.values import ROLES, Role, SlackId, SprintIndex
from worker import Job
from worker.envelope import digest_of
from worker.job import payload_of

SPRINTS_A_JOB = 100
"""So that the longest names still fit into one job's size."""
FAR_FUTURE = datetime.max.replace(tzinfo=UTC)

SEAT = frozenset({"sprint_index", "role", "requested_by", "replacement_slack_id"})
"""By these an override is known."""
PAYLOAD_NAMES = {"created_at": "requested_at", "approval_timestamp": "approved_at"}
"""Columns that the jobs call otherwise."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A job, and where in the files it comes from."""

    where: str
    job: Job

    @property
    def id(self) -> str:
        """Made of the content."""
        return f"import:{self.job.kind}:{digest_of(self.job.kind, payload_of(self.job))}"


class State(BaseModel):
    """Who was on duty when the files were written."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    sprint_index: SprintIndex
    roles: dict[Role, SlackId | None]


@dataclass(slots=True)
class Plan:
    """What is imported, in the order of the phases; what is left out; what else is worth a word."""

    people: list[Planned] = field(default_factory=list)
    sprints: list[Planned] = field(default_factory=list)
    overrides: list[Planned] = field(default_factory=list)
    state: State | None = None
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def phases(self) -> tuple[list[Planned], ...]:
        """The jobs of each phase; a phase needs what is before it."""
        return self.people, self.sprints, self.overrides

    @property
    def jobs(self) -> list[Planned]:
        """All jobs."""
        return [planned for phase in self.phases for planned in phase]


def plan(directory: Path, *, staging: bool, sprints: Collection[int], actor: str) -> Plan:
    """What is to be done to import the files of a directory; `sprints` are the indices that the database has."""
    made = Plan()
    found = {file: list(_rows(made, file, directory, staging=staging)) for file in FILES}
    people, schedule = _name(directory, "disciplines", staging=staging), "sprints.json"
    made.people = list(_people(made, people, found["disciplines"]))
    ready = _without_gaps(made, schedule, _sprints(made, schedule, found["sprints"]), sprints)
    made.sprints = list(_chunks(schedule, ready))
    known = {*sprints, *(sprint.sprint_index for sprint in ready)}
    made.overrides = list(_overrides(made, "overrides.json", found["overrides"], known, actor))
    made.state = _state(made, "currentState.json", found["currentState"])
    return made


def _name(directory: Path, file: File, *, staging: bool) -> str:
    """As the bot chooses: in staging the file for it, if it is there."""
    name = file_name(file, staging=staging)
    return name if (directory / name).exists() else file_name(file, staging=False)


def _rows(made: Plan, file: File, directory: Path, *, staging: bool) -> Iterator[Entry]:
    """The rows of a file, those that are objects."""
    name = _name(directory, file, staging=staging)
    try:
        found = list(entries(file, name, read(directory / name)))
    except FileNotFoundError:
        made.notes.append(f"{name} was not found.")
        return
    except BadFile as error:
        made.problems.append(f"{error} Nothing of it is imported.")
        return
    made.rows[name] = len(found)
    for entry in found:
        if isinstance(entry.value, dict):
            yield entry
        else:
            made.problems.append(f"{name}, {entry.where}: expected an object.")


def _people(made: Plan, name: str, rows: Iterable[Entry]) -> Iterator[Planned]:
    seen: dict[tuple[str, Any], int] = {}
    strangers = Counter(row.group for row in rows if row.group not in ROLES)
    made.problems += [f"{name}: {group!r} is no discipline; {n} people are left out." for group, n in strangers.items()]
    for row in (row for row in rows if row.group in ROLES):
        active = False if row.value.get("active") is False else None
        payload = {**columns_of(row.value, PERSON), "discipline": row.group, "active": active}
        try:
            job = UpsertUser.model_validate(payload)
        except ValidationError as error:
            made.problems.append(_sentence(name, row, error, PERSON))
            continue
        first = seen.setdefault((row.group, job.slack_id), row.place)
        if first == row.place:
            yield Planned(f"{name}, {row.where}", job)
        else:
            made.problems.append(f"{name}, {row.where}: {job.slack_id} stands in row {first + 1} already.")


def _sprints(made: Plan, name: str, rows: list[Entry]) -> list[NumberedSprint]:
    places = defaultdict(list)
    for row in rows:
        places[_index(row)].append(row.place + 1)
    for index, twice in places.items():
        if len(twice) > 1:
            made.problems.append(
                f"{name}: rows {' and '.join(map(str, twice))} both are sprint {index}, so nothing of it is imported."
            )
            return []
    found = []
    for row in rows:
        try:
            found.append(NumberedSprint.model_validate({**columns_of(row.value, SPRINT), "sprint_index": _index(row)}))
        except ValidationError as error:
            made.problems.append(_sentence(name, row, error, SPRINT))
    return sorted(found, key=lambda sprint: sprint.sprint_index)


def _index(row: Entry) -> Any:
    """The index as the rotation takes it, of a type that can be compared; whether it is one is checked later."""
    for key in ("sprintIndex", "index"):
        if row.value.get(key) is not None:
            stated = row.value[key]
            return stated if isinstance(stated, int | str) else repr(stated)
    return row.place


def _without_gaps(made: Plan, name: str, found: list[NumberedSprint], known: Collection[int]) -> list[NumberedSprint]:
    present = {*known, *(sprint.sprint_index for sprint in found)}
    gap = next(index for index in range(len(present) + 1) if index not in present)
    behind = [sprint.sprint_index for sprint in found if sprint.sprint_index > gap]
    if behind:
        which = f"sprint {behind[0]} is" if len(behind) == 1 else f"sprints {behind[0]} to {behind[-1]} are"
        made.problems.append(f"{name}: there is no sprint {gap}, so {which} left out; indices must have no gap.")
    return [sprint for sprint in found if sprint.sprint_index < gap]


def _chunks(name: str, sprints: list[NumberedSprint]) -> Iterator[Planned]:
    for start in range(0, len(sprints), SPRINTS_A_JOB):
        chunk = tuple(sprints[start : start + SPRINTS_A_JOB])
        where = f"{name}, sprints {chunk[0].sprint_index} to {chunk[-1].sprint_index}"
        yield Planned(where, ImportSprints(sprints=chunk))


@dataclass(frozen=True, slots=True)
class _Request:
    where: str
    request: RequestOverride
    approval: ApproveOverride | None

    @property
    def rank(self) -> tuple[bool, datetime]:
        """Of equal requests the least one counts: an approved one, and then the first."""
        if self.approval is None:
            return True, self.request.requested_at or FAR_FUTURE
        return False, self.approval.approved_at or FAR_FUTURE


def _overrides(made: Plan, name: str, rows: list[Entry], known: Collection[int], actor: str) -> Iterator[Planned]:
    """The requests, oldest first, each with its approval behind it."""
    found: dict[tuple[Any, ...], _Request] = {}
    requests = [request for row in rows if (request := _request(made, name, row, actor)) is not None]
    if len(requests) > 1 and _newest_first(requests):
        requests.reverse()
    for each in requests:
        if each.request.sprint_index not in known:
            made.problems.append(f"{each.where}: there is no sprint {each.request.sprint_index}.")
            continue
        seat = tuple(each.request.model_dump(include=set(SEAT)).values())
        found[seat] = min(found.get(seat, each), each, key=lambda request: request.rank)
    for each in sorted(found.values(), key=lambda request: request.request.requested_at or FAR_FUTURE):
        yield Planned(each.where, each.request)
        if each.approval is not None:
            yield Planned(each.where, each.approval)


def _newest_first(requests: list[_Request]) -> bool:
    first, last = requests[0].request.requested_at, requests[-1].request.requested_at
    return first is not None and last is not None and first > last


def _request(made: Plan, name: str, row: Entry, actor: str) -> _Request | None:
    given = {PAYLOAD_NAMES.get(column, column): value for column, value in columns_of(row.value, OVERRIDE).items()}
    asked = {field: given[field] for field in RequestOverride.model_fields if field in given}
    asked["replacement_name"] = asked.get("replacement_name") or None
    approval = None
    try:
        request = RequestOverride.model_validate(asked)
        if given.get("approved") is True:
            when = given.get("approved_at") or request.requested_at
            by = {"approved_by": given.get("approved_by") or actor, "approved_at": when}
            approval = ApproveOverride.model_validate({**request.model_dump(include=set(SEAT)), **by})
    except ValidationError as error:
        made.problems.append(_sentence(name, row, error, OVERRIDE))
        return None
    return _Request(f"{name}, {row.where}", request, approval)


def _state(made: Plan, name: str, rows: list[Entry]) -> State | None:
    if not rows:
        return None
    given = columns_of(rows[0].value, STATE)
    roles = {role: rows[0].value.get(role) for role in ROLES}
    if given.get("sprint_index") is None or not any(roles.values()):
        made.notes.append(f"{name} says of nobody that they are on duty.")
        return None
    try:
        return State(sprint_index=given["sprint_index"], roles=roles)
    except ValidationError as error:
        made.problems.append(_sentence(name, rows[0], error, STATE))
        return None


def _sentence(name: str, row: Entry, error: ValidationError, keys: Mapping[str, str]) -> str:
    """What is wrong with a row, by the names of its file."""
    words = {PAYLOAD_NAMES.get(column, column): key for column, key in keys.items()}
    pattern = re.compile("|".join(sorted((re.escape(word) for word in words if "_" in word), key=len, reverse=True)))
    wrong = []
    for each in error.errors(include_url=False):
        place = [str(part) for part in each["loc"] if part != "roles"]
        wrong.append(pattern.sub(lambda found: words[found[0]], ": ".join([*place, each["msg"]])))
    return f"{name}, {row.where}: {'; '.join(wrong)}"

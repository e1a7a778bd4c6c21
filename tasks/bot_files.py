"""The bot's four JSON files: their names and their formats, for writing and for reading. Only this module knows them.

    disciplines.json    {"po": [{"name", "slackId", "active"}, …], …}, people by name, all five roles
    sprints.json        [{"sprintName", "startDate", "endDate", "sprintIndex"}, …], sprint i at position i
    overrides.json      [{"sprintIndex", "role", "newSlackId", …}, …], newest first
    currentState.json   {"sprintIndex", "account", "producer", "po", "uiEng", "beEng"}

In staging the bot reads disciplines.staging.json in place of disciplines.json. The bot reads sprints.json by position,
so where an index is missing in the table stands a sprint without days: it is an object, which the bot expects
everywhere, and it never is the current sprint.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from pydantic_core import from_json, to_json

from tasks.values import ROLES
from worker.errors import OnelaneError

File = Literal["disciplines", "sprints", "overrides", "currentState"]
FILES: tuple[File, ...] = get_args(File)

Row: TypeAlias = Mapping[str, Any]
Content: TypeAlias = list[Any] | dict[str, Any]

PERSON = {"name": "name", "slack_id": "slackId", "active": "active"}
SPRINT = {"sprint_name": "sprintName", "start_date": "startDate", "end_date": "endDate", "sprint_index": "sprintIndex"}
OVERRIDE = {
    "sprint_index": "sprintIndex",
    "role": "role",
    "replacement_slack_id": "newSlackId",
    "replacement_name": "newName",
    "requested_by": "requestedBy",
    "approved": "approved",
    "created_at": "timestamp",
    "approved_by": "approvedBy",
    "approval_timestamp": "approvalTimestamp",
    "original_slack_id": "originalSlackId",
}
STATE = {
    "sprint_index": "sprintIndex",
    "account_slack_id": "account",
    "producer_slack_id": "producer",
    "po_slack_id": "po",
    "ui_eng_slack_id": "uiEng",
    "be_eng_slack_id": "beEng",
}
"""Of each table: column → key in the file, in the file's order."""
LEFT_OUT_WHEN_NULL = frozenset({"approved_by", "approval_timestamp", "original_slack_id"})

GAP_LIMIT = 1000
"""Sprints without days that sprints.json may hold; a table with more missing indices is a mistake somebody must see."""


class BadFile(OnelaneError):
    """A file is not as the bot writes it, or the table can't be put into one; the sentence says what is wrong."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: the list that it stands in (disciplines.json has five), its place from 0, and its value."""

    group: str
    place: int
    value: Any

    @property
    def where(self) -> str:
        """The place for people: `po, row 3`."""
        row = f"row {self.place + 1}"
        return f"{self.group}, {row}" if self.group else row


def file_name(file: File, *, staging: bool) -> str:
    """How the file is called."""
    return "disciplines.staging.json" if staging and file == "disciplines" else f"{file}.json"


def content_of(file: File, rows: Iterable[Row]) -> Content:
    """What the file says when its table holds these rows, in their order. Raises BadFile."""
    return _CONTENTS[file](list(rows))


def render(content: Content) -> bytes:
    """The file's bytes, as the bot formats them."""
    return to_json(content, indent=2) + b"\n"


def read(path: Path) -> Content:
    """What a file says. Raises FileNotFoundError; BadFile when it can't be read or is no JSON."""
    try:
        found: Any = from_json(path.read_bytes())
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadFile(f"{path.name} can't be read: {error.strerror}.") from None
    except ValueError as error:
        raise BadFile(f"{path.name} is no JSON: {error}.") from None
    if not isinstance(found, list | dict):
        raise BadFile(f"{path.name} holds neither a list nor an object.")
    return found


def entries(file: File, name: str, content: Content) -> Iterator[Entry]:
    """The entries of a file, in their order; `name` is what the sentence calls it. Raises BadFile."""
    match file, content:
        case "disciplines", dict():
            for group, people in content.items():
                if not isinstance(people, list):
                    raise BadFile(f"{name}: expected a list of people under {group!r}.")
                yield from (Entry(group, place, value) for place, value in enumerate(people))
        case "currentState", dict():
            yield Entry("", 0, content)
        case "sprints" | "overrides", list():
            yield from (Entry("", place, value) for place, value in enumerate(content))
        case _:
            wanted = "a list" if file in {"sprints", "overrides"} else "an object"
            raise BadFile(f"{name}: expected {wanted}.")


def columns_of(value: Mapping[str, Any], keys: Mapping[str, str]) -> dict[str, Any]:
    """An entry's values by column, as they stand there; keys that no column has are passed over."""
    return {column: value[key] for column, key in keys.items() if key in value}


def _entry_of(row: Row, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: _plain(row[column])
        for column, key in keys.items()
        if row[column] is not None or column not in LEFT_OUT_WHEN_NULL
    }


def _plain(value: Any) -> Any:
    """JavaScript writes a time with milliseconds and a Z; the columns hold UTC."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    return value.isoformat() if isinstance(value, date) else value


def _disciplines(rows: list[Row]) -> Content:
    return {role: [_entry_of(row, PERSON) for row in rows if row["discipline"] == role] for role in ROLES}


def _sprints(rows: list[Row]) -> Content:
    by_index = {row["sprint_index"]: _entry_of(row, SPRINT) for row in rows}
    length = max(by_index, default=-1) + 1
    if length - len(by_index) > GAP_LIMIT:
        raise BadFile(f"sprints.json can't be written: of the sprints 0 to {length - 1} only {len(by_index)} exist.")
    return [by_index.get(index) or _missing_sprint(index) for index in range(length)]


def _missing_sprint(index: int) -> dict[str, Any]:
    return {"sprintName": f"(no sprint {index})", "startDate": None, "endDate": None, "sprintIndex": index}


def _overrides(rows: list[Row]) -> Content:
    return [_entry_of(row, OVERRIDE) for row in rows]


def _current_state(rows: list[Row]) -> Content:
    return _entry_of(rows[0], STATE) if rows else dict.fromkeys(STATE.values())


_CONTENTS: dict[File, Callable[[list[Row]], Content]] = {
    "disciplines": _disciplines,
    "sprints": _sprints,
    "overrides": _overrides,
    "currentState": _current_state,
}

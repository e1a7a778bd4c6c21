"""What can be wrong in the bot's rows, and what mends it: the one list that `check` counts by and `up` repairs by.

Each kind is a condition for the rows concerned. Those that can be mended are changed, those that can't are removed;
both are kept in `onelane.archive` as they were. The order matters: a twin is judged after its row has proved sound, and
a row is known by its key until the last change to it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import OPERATIONS, ROLES, TABLES, Table

LEFTOVER = "test_user_123"


@dataclass(frozen=True)
class Dirt:
    """Rows of `table` in which something is wrong: `where` is a condition on `t`."""

    table: str
    what: str
    where: str
    change: str = ""
    """What mends a row, as the SET of an UPDATE; empty: the row is removed."""
    held_off: bool = True
    """Whether the final catalog holds it off by itself, with a type or a constraint."""
    column: str = ""
    """The column that it is about, where a database may lack it or keep it within its limit."""
    limit: int = 0
    """The limit, if that is what it breaks."""

    @property
    def remedy(self) -> str:
        """What `up` does, in words."""
        return "mended; the row as it was is archived" if self.change else "moved to the archive"

    @property
    def tables(self) -> set[str]:
        """The tables that it reads."""
        return {self.table, *re.findall(r"FROM (\w+)", self.where)}


def possible(connection: psycopg.Connection[Any], dirt: Iterable[Dirt]) -> Iterator[Dirt]:
    """Those that this database can have: what they read is there, and the column's type does not hold them off."""
    there = catalog.tables(connection)
    columns = {table.name: catalog.columns(connection, table.name) for table in TABLES if table.name in there}
    for kind in dirt:
        if not kind.tables <= columns.keys():
            continue
        fact = columns[kind.table].get(kind.column)
        if not kind.column or (fact is not None and fact.type != f"character varying({kind.limit})"):
            yield kind


def of_table(name: str) -> list[Dirt]:
    """What can stand in the way in one table."""
    return [kind for kind in DIRT if kind.table == name]


def _twin(table: str, columns: tuple[str, ...], better: str) -> str:
    same = " AND ".join(f"o.{column} = t.{column}" for column in columns)
    return f"EXISTS (SELECT FROM {table} o WHERE {same} AND {better})"


def _outside(column: str, values: tuple[str, ...]) -> str:
    return f"t.{column} NOT IN ({', '.join(repr(value) for value in values)})"


def _texts(table: Table) -> Iterator[Dirt]:
    """Text beyond the column's limit, possible where somebody widened the column; and text that is blank.

    A name can be cut; half an id is none. So an id goes, and where the row must have one, the row goes. An audit row is
    evidence: it may be blank.
    """
    for column in table.columns:
        if not column.limit or column.name in {"discipline", "role"}:
            continue
        name, limit, is_id = column.name, column.limit, column.name.endswith(("_id", "_by"))
        gone = "" if column.required else f"{name} = NULL"
        cut = gone if is_id else f"{name} = left({name}, {limit})"
        what = f"{name} longer than {limit} characters"
        yield Dirt(table.name, what, f"length(t.{name}) > {limit}", cut, column=name, limit=limit)
        if table.name != "audit_logs":
            blank = f"t.{name} !~ '[^[:space:]]'"
            yield Dirt(table.name, f"blank {name}", blank, _INSTEAD.get(name, gone), held_off=False)


_INSTEAD = {"name": "name = left(slack_id, 100)", "sprint_name": "sprint_name = 'Sprint ' || sprint_index"}
"""What a person reads where a name is blank."""
_NO_SPRINT = "NOT EXISTS (SELECT FROM sprints s WHERE s.sprint_index = t.sprint_index)"
_PAIR = ("slack_id", "discipline")
_REQUEST = ("sprint_index", "role", "requested_by", "replacement_slack_id")
# Approved before pending, then the newest: as a row to compare. A missing time counts as the oldest.
_RANK = "({0}.approved IS TRUE, coalesce({0}.created_at, '-infinity'), {0}.id)"

DIRT = (
    *(kind for table in TABLES for kind in _texts(table)),
    Dirt("users", f"leftover {LEFTOVER}", f"t.slack_id = '{LEFTOVER}'", held_off=False),
    Dirt("users", "discipline outside the five roles", _outside("discipline", ROLES)),
    Dirt(
        "users",
        "the newest of duplicate pairs inactive, an older one active",
        "NOT t.active AND "
        + _twin("users", _PAIR, "o.active AND o.id < t.id")
        + " AND NOT "
        + _twin("users", _PAIR, "o.id > t.id"),
        "active = true",
        column="active",
    ),
    Dirt("users", "duplicate pair of person and discipline", _twin("users", _PAIR, "o.id > t.id")),
    Dirt("sprints", "duplicate sprint index", _twin("sprints", ("sprint_index",), "o.id > t.id")),
    Dirt("overrides", "role outside the five roles", _outside("role", ROLES)),
    Dirt("overrides", "override of a sprint that does not exist", _NO_SPRINT),
    Dirt(
        "overrides",
        "duplicate override",
        _twin("overrides", _REQUEST, f"{_RANK.format('o')} > {_RANK.format('t')}"),
    ),
    Dirt(
        "current_state",
        "state of a sprint that does not exist",
        f"t.sprint_index IS NOT NULL AND {_NO_SPRINT}",
        "sprint_index = NULL",
    ),
    Dirt(
        "current_state",
        "state under another id than 1, and none under 1",
        "NOT EXISTS (SELECT FROM current_state o WHERE o.id = 1) AND t.id = (SELECT max(o.id) FROM current_state o)",
        "id = 1",
    ),
    Dirt("current_state", "more than one state row", "t.id <> 1"),
    Dirt("audit_logs", "audit operation outside the four", _outside("operation", OPERATIONS)),
)
"""All that stands in the way, in the order of repair."""

ODDITIES = (
    Dirt("sprints", "sprint that ends before it starts", "t.end_date < t.start_date"),
    Dirt("sprints", "negative sprint index", "t.sprint_index < 0"),
)
"""What a person should look at; no rule of the catalog is broken, so it stays as it is."""

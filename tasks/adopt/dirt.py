"""What can be wrong in the bot's rows, and what mends it: the one list that `check` counts by and `up` repairs by.

Each kind is a query for the rows concerned. Those that can be mended are changed, those that can't are removed; both
are kept in `onelane.archive` as they were. The order matters: a twin is judged only after its row has proved sound.
"""

# ruff: noqa: S608 - every part of these statements is written in this package

from dataclasses import dataclass

from tasks.adopt.target import OPERATIONS, ROLES, TABLES

LEFTOVER = "test_user_123"


@dataclass(frozen=True)
class Dirt:
    """Rows of `table` in which something is wrong: `where` is a condition on `t`."""

    table: str
    what: str
    where: str
    change: str = ""
    """What mends a row, as the SET of an UPDATE; empty: the row is removed."""

    @property
    def rows(self) -> str:
        """The query for the places of the rows concerned."""
        return f"SELECT t.ctid FROM {self.table} t WHERE {self.where}"

    @property
    def remedy(self) -> str:
        """What `up` does, in words."""
        return "mended; the row as it was is archived" if self.change else "moved to the archive"


def _twin(table: str, columns: tuple[str, ...], better: str) -> str:
    same = " AND ".join(f"o.{column} = t.{column}" for column in columns)
    return f"EXISTS (SELECT FROM {table} o WHERE {same} AND {better})"


def _outside(column: str, values: tuple[str, ...]) -> str:
    return f"t.{column} NOT IN ({', '.join(repr(value) for value in values)})"


def _too_long() -> list[Dirt]:
    """Text beyond the column's limit, possible where somebody widened the column. An id can't be cut: its row goes."""
    found = []
    for table in TABLES:
        for column in table.columns:
            if not column.type.startswith("varchar") or column.name in {"discipline", "role"}:
                continue
            limit = int(column.type.removeprefix("varchar(").removesuffix(")"))
            identity = column.name.endswith(("slack_id", "requested_by", "approved_by"))
            change = "" if identity else f"{column.name} = left({column.name}, {limit})"
            if table.name == "current_state":
                change = f"{column.name} = NULL"
            found.append(
                Dirt(
                    table.name,
                    f"{column.name} longer than {limit} characters",
                    f"length(t.{column.name}) > {limit}",
                    change,
                )
            )
    return found


_NO_SPRINT = "NOT EXISTS (SELECT FROM sprints s WHERE s.sprint_index = t.sprint_index)"
_PAIR = ("slack_id", "discipline")
_REQUEST = ("sprint_index", "role", "requested_by", "replacement_slack_id")
# Approved before pending, then the newest: as a row to compare. A missing time counts as the oldest.
_RANK = "({0}.approved IS TRUE, coalesce({0}.created_at, '-infinity'), {0}.id)"

USERS_TWINS = (
    Dirt(
        "users",
        "the newest of duplicate pairs inactive, an older one active",
        "NOT t.active AND "
        + _twin("users", _PAIR, "o.active AND o.id < t.id")
        + " AND NOT "
        + _twin("users", _PAIR, "o.id > t.id"),
        "active = true",
    ),
    Dirt("users", "duplicate pair of person and discipline", _twin("users", _PAIR, "o.id > t.id")),
)
SPRINT_TWINS = (Dirt("sprints", "duplicate sprint index", _twin("sprints", ("sprint_index",), "o.id > t.id")),)
OVERRIDE_TWINS = (
    Dirt(
        "overrides",
        "duplicate override",
        _twin("overrides", _REQUEST, f"{_RANK.format('o')} > {_RANK.format('t')}"),
    ),
)
TWINS = {"users": USERS_TWINS, "sprints": SPRINT_TWINS, "overrides": OVERRIDE_TWINS}
"""What stands in the way of each table's unique constraint."""

DIRT = (
    *_too_long(),
    Dirt("users", f"leftover {LEFTOVER}", f"t.slack_id = '{LEFTOVER}'"),
    Dirt("users", "blank slack_id", "btrim(t.slack_id) = ''"),
    Dirt("users", "discipline outside the five roles", _outside("discipline", ROLES)),
    Dirt("users", "blank name", "btrim(t.name) = ''", "name = left(slack_id, 100)"),
    *USERS_TWINS,
    Dirt("sprints", "blank sprint_name", "btrim(t.sprint_name) = ''", "sprint_name = 'Sprint ' || sprint_index"),
    *SPRINT_TWINS,
    Dirt("overrides", "role outside the five roles", _outside("role", ROLES)),
    Dirt(
        "overrides",
        "blank replacement_slack_id or requested_by",
        "btrim(t.replacement_slack_id) = '' OR btrim(t.requested_by) = ''",
    ),
    Dirt("overrides", "override of a sprint that does not exist", _NO_SPRINT),
    *OVERRIDE_TWINS,
    Dirt(
        "current_state",
        "state under another id than 1, and none under 1",
        "NOT EXISTS (SELECT FROM current_state o WHERE o.id = 1) AND t.id = (SELECT max(o.id) FROM current_state o)",
        "id = 1",
    ),
    Dirt("current_state", "more than one state row", "t.id <> 1"),
    Dirt(
        "current_state",
        "state of a sprint that does not exist",
        f"t.sprint_index IS NOT NULL AND {_NO_SPRINT}",
        "sprint_index = NULL",
    ),
    Dirt("audit_logs", "audit operation outside the four", _outside("operation", OPERATIONS)),
)
"""All that stands in the way, in the order of repair."""

ODDITIES = (
    Dirt("sprints", "sprint that ends before it starts", "t.end_date < t.start_date"),
    Dirt("sprints", "negative sprint index", "t.sprint_index < 0"),
)
"""What a person should look at; no rule of the catalog is broken, so it stays as it is."""

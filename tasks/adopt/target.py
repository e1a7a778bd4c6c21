"""The bot's tables in their final shape: the one catalog that every database ends in.

The bot goes on reading them, so every column keeps its name and type. Its own tables (cron_trigger_audits,
notification_snapshots, discipline, migrations, _prisma_migrations) are none of our business.
"""

from dataclasses import dataclass

ROLES = ("account", "producer", "po", "uiEng", "beEng")
OPERATIONS = ("INSERT", "UPDATE", "DELETE", "UPSERT")
"""What the bot's CHECK allows, and `UPSERT`: a bot that still writes directly would lose its audit rows in silence."""


@dataclass(frozen=True)
class Column:
    """A column; `serial` for an id."""

    name: str
    type: str
    rest: str = ""
    newer: bool = False
    """Whether older databases lack it."""

    @property
    def limit(self) -> int:
        """How many characters a text may have; 0 where there is no limit."""
        return int(self.type[8:-1]) if self.type.startswith("varchar(") else 0

    @property
    def required(self) -> bool:
        """Whether it must have a value."""
        return "NOT NULL" in self.rest or self.type == "serial"

    def is_a(self, type_name: str) -> bool:
        """Whether a type, as PostgreSQL names it, is this column's; `timestamp` and `timestamp(6)` are the same."""
        return _SYNONYMS.get(self.type, self.type) == _plain(type_name)


_SYNONYMS = {"serial": "integer", "timestamp(6)": "timestamp"}


def _plain(type_name: str) -> str:
    short = type_name.replace("character varying", "varchar").replace(" without time zone", "")
    return _SYNONYMS.get(short, short)


@dataclass(frozen=True)
class Unique:
    """A unique constraint."""

    name: str
    columns: tuple[str, ...]

    @property
    def definition(self) -> str:
        """As `ALTER TABLE … ADD CONSTRAINT` takes it."""
        return f"UNIQUE ({', '.join(self.columns)})"

    @property
    def key(self) -> str:
        """As `pg_get_indexdef` ends."""
        return f"btree ({', '.join(self.columns)})"


@dataclass(frozen=True)
class Rule:
    """A CHECK or a foreign key: added unvalidated, validated in a step of its own, so no scan happens under a lock."""

    name: str
    definition: str


@dataclass(frozen=True)
class Index:
    """An index that is no constraint."""

    name: str
    columns: tuple[str, ...]

    @property
    def key(self) -> str:
        """As `pg_get_indexdef` ends."""
        return f"btree ({', '.join(self.columns)})"


@dataclass(frozen=True)
class Table:
    """A table in its final shape."""

    name: str
    columns: tuple[Column, ...]
    key: str = "id"
    uniques: tuple[Unique, ...] = ()
    rules: tuple[Rule, ...] = ()
    indexes: tuple[Index, ...] = ()
    touched: bool = False
    """Whether a trigger keeps `updated_at`."""

    @property
    def constraints(self) -> tuple[Unique | Rule, ...]:
        """All but the primary key."""
        return (*self.uniques, *self.rules)

    @property
    def keys(self) -> tuple[Unique | Index, ...]:
        """All that rests on an index, but the primary key."""
        return (*self.uniques, *self.indexes)

    @property
    def trigger(self) -> str:
        """The name of the trigger that keeps `updated_at`."""
        return f"update_{self.name}_updated_at"

    @property
    def trigger_definition(self) -> str:
        """As `pg_get_triggerdef` writes it."""
        row = f"BEFORE UPDATE ON {self.name} FOR EACH ROW"
        return f"CREATE TRIGGER {self.trigger} {row} EXECUTE FUNCTION update_updated_at_column()"

    @property
    def creation(self) -> str:
        """The statement that makes it, with its primary key alone."""
        columns = ", ".join(f"{column.name} {column.type} {column.rest}".strip() for column in self.columns)
        return f"CREATE TABLE {self.name} ({columns}, CONSTRAINT {self.name}_pkey PRIMARY KEY ({self.key}))"


def _one_of(column: str, values: tuple[str, ...]) -> str:
    return f"CHECK ({column} IN ({', '.join(repr(value) for value in values)}))"


_ID = Column("id", "serial")
_CREATED = Column("created_at", "timestamp(6)", "DEFAULT CURRENT_TIMESTAMP")
_UPDATED = Column("updated_at", "timestamp(6)", "DEFAULT CURRENT_TIMESTAMP")
_TO_SPRINT = "FOREIGN KEY (sprint_index) REFERENCES sprints(sprint_index)"

SPRINTS = Table(
    "sprints",
    (
        _ID,
        Column("sprint_name", "varchar(50)", "NOT NULL"),
        Column("start_date", "date", "NOT NULL"),
        Column("end_date", "date", "NOT NULL"),
        Column("sprint_index", "integer", "NOT NULL"),
        _CREATED,
        _UPDATED,
    ),
    uniques=(Unique("sprints_sprint_index_key", ("sprint_index",)),),
    indexes=(Index("idx_sprints_dates", ("start_date", "end_date")),),
    touched=True,
)
USERS = Table(
    "users",
    (
        _ID,
        Column("slack_id", "varchar(50)", "NOT NULL"),
        Column("name", "varchar(100)", "NOT NULL"),
        Column("discipline", "varchar(20)", "NOT NULL"),
        _CREATED,
        _UPDATED,
        Column("active", "boolean", "NOT NULL DEFAULT true", newer=True),
    ),
    uniques=(Unique("users_slack_discipline_unique", ("slack_id", "discipline")),),
    rules=(Rule("users_discipline_check", _one_of("discipline", ROLES)),),
    indexes=(Index("idx_users_discipline", ("discipline",)), Index("idx_users_active", ("active",))),
    touched=True,
)
CURRENT_STATE = Table(
    "current_state",
    (
        _ID,
        Column("sprint_index", "integer"),
        *(Column(f"{role}_slack_id", "varchar(50)") for role in ("account", "producer", "po", "ui_eng", "be_eng")),
        _UPDATED,
    ),
    rules=(
        Rule("unique_current_state", "CHECK (id = 1)"),
        Rule("current_state_sprint_index_fkey", _TO_SPRINT),
    ),
    touched=True,
)
OVERRIDES = Table(
    "overrides",
    (
        _ID,
        Column("sprint_index", "integer", "NOT NULL"),
        Column("role", "varchar(20)", "NOT NULL"),
        Column("original_slack_id", "varchar(50)"),
        Column("replacement_slack_id", "varchar(50)", "NOT NULL"),
        Column("replacement_name", "varchar(100)"),
        Column("requested_by", "varchar(50)", "NOT NULL"),
        Column("approved", "boolean", "DEFAULT false"),
        Column("approved_by", "varchar(50)"),
        Column("approval_timestamp", "timestamp(6)"),
        _CREATED,
        _UPDATED,
    ),
    uniques=(Unique("overrides_unique_request", ("sprint_index", "role", "requested_by", "replacement_slack_id")),),
    rules=(
        Rule("overrides_role_check", _one_of("role", ROLES)),
        Rule("overrides_sprint_index_fkey", _TO_SPRINT),
    ),
    indexes=(Index("idx_overrides_approved", ("approved",)),),
    touched=True,
)
AUDIT_LOGS = Table(
    "audit_logs",
    (
        _ID,
        Column("table_name", "varchar(50)", "NOT NULL"),
        Column("record_id", "integer"),
        Column("operation", "varchar(20)", "NOT NULL"),
        Column("old_values", "jsonb"),
        Column("new_values", "jsonb"),
        Column("changed_by", "varchar(50)"),
        Column("changed_at", "timestamp(6)", "DEFAULT CURRENT_TIMESTAMP"),
        Column("reason", "text"),
    ),
    rules=(Rule("audit_logs_operation_check", _one_of("operation", OPERATIONS)),),
    indexes=(
        Index("idx_audit_logs_table_record", ("table_name", "record_id")),
        Index("idx_audit_logs_changed_at", ("changed_at",)),
    ),
)
MEMBERSHIP = Table(
    "admin_channel_membership",
    (
        Column("slack_id", "varchar(50)", "NOT NULL"),
        Column("is_member", "boolean", "NOT NULL"),
        Column("checked_at", "timestamp(6)", "NOT NULL"),
        Column("updated_at", "timestamp(6)", "DEFAULT CURRENT_TIMESTAMP"),
    ),
    key="slack_id",
    indexes=(Index("idx_admin_channel_membership_checked_at", ("checked_at",)),),
)

TABLES = (SPRINTS, USERS, CURRENT_STATE, OVERRIDES, AUDIT_LOGS, MEMBERSHIP)
"""In an order in which each comes after those that it refers to."""
KEY_OF = {table.name: table.key for table in TABLES}

TOUCH = """CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    RETURN NEW;
END;
$$"""
"""The function of the triggers that keep `updated_at`, as the bot's first migration made it."""

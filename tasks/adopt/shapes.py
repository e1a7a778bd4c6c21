"""The shapes that the bot's scripts left behind, as sets of named things; and which one a database is nearest to.

S1: the first SQL migration alone. FIX: S1 after the fix script. PSQL: S1 after the second migration, errors ignored.
SEED: the same, with the impossible drop forced. LEGACY: FIX brought on by Prisma; most likely production. FRESH:
Prisma alone.
"""

from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import TABLES

Things = frozenset[str]


def _things(kind: str, names: str) -> Things:
    return frozenset(f"{kind} {name}" for name in names.split())


_TABLES = _things("table", "users sprints current_state overrides audit_logs")
_CHECKS = _things(
    "check", "users_discipline_check overrides_role_check audit_logs_operation_check unique_current_state"
)
_TRIGGERS = _things(
    "trigger",
    "update_users_updated_at update_sprints_updated_at update_current_state_updated_at update_overrides_updated_at",
)
_INDEXES = _things(
    "index",
    "idx_users_discipline idx_users_slack_id idx_sprints_dates idx_sprints_index idx_overrides_sprint_role"
    " idx_overrides_approved idx_audit_logs_table_record idx_audit_logs_changed_at",
)
_STATE_KEY = _things("foreign key", "current_state_sprint_index_fkey")
_THREE = _things("unique", "users_slack_discipline_unique overrides_unique_request current_state_single_record")
_PRISMA = (
    _things("table", "admin_channel_membership")
    | _things("column", "users.active")
    | _things("index", "idx_users_active idx_admin_channel_membership_checked_at")
    | _things("foreign key", "overrides_sprint_index_fkey")
)

_S1 = _TABLES | _CHECKS | _TRIGGERS | _INDEXES | _STATE_KEY
_S1 |= _things("unique", "users_slack_id_key sprints_sprint_index_key")
_FIX = _S1 | _THREE
_PSQL = (_S1 | _THREE) - _things("unique", "users_slack_id_key") - _things("check", "unique_current_state")
_PSQL |= _things("unique", "idx_sprints_active_unique")
_PSQL |= _things("index", "idx_users_slack_discipline idx_overrides_unique_lookup idx_current_state_id")
_LEGACY = _FIX | _PRISMA
_FINAL = (
    _TABLES
    | _CHECKS
    | _TRIGGERS
    | _STATE_KEY
    | _PRISMA
    | _things("unique", "users_slack_discipline_unique sprints_sprint_index_key overrides_unique_request")
    | (_INDEXES - _things("index", "idx_users_slack_id idx_sprints_index idx_overrides_sprint_role"))
)

SHAPES: dict[str, Things] = {
    "EMPTY": frozenset(),
    "S1": _S1,
    "FIX": _FIX,
    "PSQL": _PSQL,
    "SEED": _PSQL - _things("unique", "sprints_sprint_index_key") - _STATE_KEY,
    "LEGACY": _LEGACY,
    "FRESH": _LEGACY - _CHECKS - _TRIGGERS,
    "FINAL": _FINAL,
}


def nearest(found: Things) -> tuple[str, list[str]]:
    """The name of the nearest shape, and how the database differs from it."""
    name = min(SHAPES, key=lambda shape: len(SHAPES[shape] ^ found))
    shape = SHAPES[name]
    missing = [f"missing: {thing}" for thing in sorted(shape - found)]
    return name, missing + [f"extra: {thing}" for thing in sorted(found - shape)]


def things_in(connection: psycopg.Connection[Any]) -> Things:
    """What is there, of the kinds that tell the shapes apart. A unique index counts as what it is: a unique key."""
    there = catalog.tables(connection)
    found: set[str] = set()
    for table in (table for table in TABLES if table.name in there):
        found.add(f"table {table.name}")
        columns = catalog.columns(connection, table.name)
        found |= {f"column {table.name}.{column.name}" for column in table.columns if column.newer} & {
            f"column {table.name}.{name}" for name in columns
        }
        kinds = {"u": "unique", "c": "check", "f": "foreign key"}
        found |= {f"{kinds[fact.kind]} {fact.name}" for fact in catalog.constraints(connection, table.name)}
        for index in catalog.indexes(connection, table.name):
            found.add(f"{'unique' if index.unique else 'index'} {index.name}")
        found |= {f"trigger {name}" for name in catalog.triggers(connection, table.name)}
    return frozenset(found)

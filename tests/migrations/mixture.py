"""Builds a database that is none of the known shapes: each thing that a script makes is there or not, by dice."""

import random

import psycopg

from tests.migrations.shapes import P1, P3, P4, P5, ROLES, S1

UNIQUES = {
    "users_slack_id_key": ("users", "slack_id"),
    "users_slack_discipline_unique": ("users", "slack_id, discipline"),
    "sprints_sprint_index_key": ("sprints", "sprint_index"),
    "overrides_unique_request": ("overrides", "sprint_index, role, requested_by, replacement_slack_id"),
    "current_state_single_record": ("current_state", "id"),
}
CHECKS = {
    "users_discipline_check": ("users", f"discipline IN ({ROLES})"),
    "overrides_role_check": ("overrides", f"role IN ({ROLES})"),
    "audit_logs_operation_check": ("audit_logs", "operation IN ('INSERT', 'UPDATE', 'DELETE')"),
    "unique_current_state": ("current_state", "id = 1"),
}
INDEXES = {
    "idx_users_discipline": "users (discipline)",
    "idx_users_slack_id": "users (slack_id)",
    "idx_users_slack_discipline": "users (slack_id, discipline)",
    "idx_sprints_dates": "sprints (start_date, end_date)",
    "idx_sprints_index": "sprints (sprint_index)",
    "idx_overrides_sprint_role": "overrides (sprint_index, role)",
    "idx_overrides_approved": "overrides (approved)",
    "idx_overrides_unique_lookup": "overrides (sprint_index, role, requested_by, replacement_slack_id)",
    "idx_current_state_id": "current_state (id)",
    "idx_audit_logs_table_record": "audit_logs (table_name, record_id)",
    "idx_audit_logs_changed_at": "audit_logs (changed_at)",
}


def mix(url: str, dice: random.Random) -> None:
    """Make an empty database a mixture."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(dice.choice((S1, P1)))
        for statement in (*_keys(dice), *_checks(dice), *_indexes(dice)):
            try:
                connection.execute(statement)
            except psycopg.errors.InvalidForeignKey:  # this mixture has no key that it could refer to
                continue
        for table in ("users", "sprints", "current_state", "overrides"):
            if dice.random() < 0.5:
                connection.execute(f"DROP TRIGGER IF EXISTS update_{table}_updated_at ON {table}")
        for part in (P3, P4, P5):
            if dice.random() < 0.5:
                connection.execute(part)


def _keys(dice: random.Random) -> list[str]:
    statements = []
    for name, (table, columns) in UNIQUES.items():
        statements.append(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name} CASCADE")
        statements.append(f"DROP INDEX IF EXISTS {name} CASCADE")
        make = dice.choice(("", f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE ({columns})", "index"))
        statements.append(f"CREATE UNIQUE INDEX {name} ON {table} ({columns})" if make == "index" else make)
    if dice.random() < 0.5:
        statements.append(
            "CREATE UNIQUE INDEX idx_sprints_active_unique ON sprints (sprint_index) WHERE sprint_index IS NOT NULL"
        )
    for table in ("current_state", "overrides"):
        statements.append(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_sprint_index_fkey")
        if dice.random() < 0.5:
            statements.append(
                f"ALTER TABLE {table} ADD CONSTRAINT {table}_sprint_index_fkey"
                " FOREIGN KEY (sprint_index) REFERENCES sprints (sprint_index)"
            )
    return statements


def _checks(dice: random.Random) -> list[str]:
    statements = []
    for name, (table, condition) in CHECKS.items():
        statements.append(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        if dice.random() < 0.5:
            statements.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition})")
    return statements


def _indexes(dice: random.Random) -> list[str]:
    statements = []
    for name, place in INDEXES.items():
        statements.append(f"DROP INDEX IF EXISTS {name}")
        if dice.random() < 0.5:
            statements.append(f"CREATE INDEX {name} ON {place}")
    return statements

"""Sequences that lag behind the ids of their table, as after an import of rows with ids.

Every insert would fail on the primary key until the sequence has caught up; the bot hides that for its audit rows.
"""

# ruff: noqa: S608 - every part of these statements is written in this package

from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import CURRENT_STATE, TABLES
from worker.migrate.surgery import Surgery

NUMBERED = tuple(table.name for table in TABLES if table.key == "id" and table is not CURRENT_STATE)
"""The tables whose ids come from a sequence; the one row of the state has a fixed one."""


def lagging(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """The tables whose sequence lags behind, and by how many ids."""
    there = catalog.tables(connection)
    found = {}
    for table in (name for name in NUMBERED if name in there):
        row = connection.execute(
            f"SELECT max(id) - coalesce(pg_sequence_last_value(pg_get_serial_sequence('{table}', 'id')::regclass), 0)"
            f" FROM {table} WHERE pg_get_serial_sequence('{table}', 'id') IS NOT NULL"
        ).fetchone()
        if row and row[0] and row[0] > 0:
            found[table] = row[0]
    return found


def catch_up(surgery: Surgery) -> None:
    """Move each such sequence on. There is no way back, and no need for one: numbers may have gaps."""
    for table in lagging(surgery.connection):
        surgery.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
        surgery.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")

"""What a database holds: its catalog by meaning, and its rows."""

from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import TABLES

Catalog = dict[str, Any]
Rows = dict[str, dict[str, dict[str, Any]]]


def catalog_of(url: str) -> Catalog:
    """Tables, columns, constraints, indexes and triggers of the adopted tables."""
    found: Catalog = {}
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = public")
        there = catalog.tables(connection)
        for table in (table.name for table in TABLES if table.name in there):
            found[table] = {
                "columns": {
                    (c.name, c.type.replace("timestamp(6)", "timestamp"), c.not_null)
                    for c in catalog.columns(connection, table).values()
                },
                "constraints": {
                    (c.name, c.kind, catalog.meaning(c.definition), c.valid)
                    for c in catalog.constraints(connection, table)
                },
                "indexes": {(i.name, i.unique, i.key, i.valid) for i in catalog.indexes(connection, table)},
                "triggers": catalog.triggers(connection, table),
            }
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        found["functions"] = {name for (name,) in connection.execute(functions)}
    return found


def rows_of(url: str) -> Rows:
    """Every row by table and key, as JSON."""
    found: Rows = {}
    with psycopg.connect(url) as connection:
        there = catalog.tables(connection)
        for table in TABLES:
            if table.name in there:
                rows = connection.execute(
                    f"SELECT t.{table.key}::text, to_jsonb(t) FROM public.{table.name} t"  # noqa: S608 - our own names
                )
                found[table.name] = dict(rows.fetchall())
    return found


def archive_of(url: str) -> list[tuple[str, str, str, dict[str, Any], dict[str, Any] | None]]:
    """The archive, oldest first: table, action, reason, row as it was, row as it became."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT table_name, action, reason, record, replacement FROM onelane.archive ORDER BY id"
        ).fetchall()

"""What a database holds: its catalog by meaning, and its rows."""

from collections import Counter
from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import TABLES

Catalog = dict[str, Any]
Rows = dict[str, dict[str, dict[str, Any]]]


def catalog_of(url: str) -> Catalog:
    """Tables, columns, keys, constraints, indexes, triggers and functions of the adopted tables."""
    found: Catalog = {}
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = public")
        there = catalog.tables(connection)
        for table in (table.name for table in TABLES if table.name in there):
            found[table] = {
                "columns": [
                    (c.name, c.type.replace("timestamp(6)", "timestamp"), c.not_null, c.has_default)
                    for c in catalog.columns(connection, table).values()
                ],
                "primary key": catalog.primary_key(connection, table),
                "constraints": {
                    (c.name, c.kind, catalog.meaning(c.definition), c.valid)
                    for c in catalog.constraints(connection, table)
                },
                "indexes": {(i.name, i.unique, i.key, i.valid) for i in catalog.indexes(connection, table)},
                "triggers": catalog.triggers(connection, table),
                "defaults": defaults_of(connection, table),
            }
        functions = "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        found["functions"] = {name: "".join(body.split()) for name, body in connection.execute(functions)}
    return found


def defaults_of(connection: psycopg.Connection, table: str) -> dict[str, str]:
    """The default of each column, as an expression."""
    return dict(
        connection.execute(
            "SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attrdef"
            " JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE adrelid = %s::regclass",
            (f"public.{table}",),
        ).fetchall()
    )


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


def without_our_audit(rows: Rows) -> Rows:
    """The rows, without the audit that the migrations added."""
    audit = {key: row for key, row in rows["audit_logs"].items() if row["changed_by"] != "onelane"}
    return {**rows, "audit_logs": audit}


def timeless(rows: Rows) -> dict[str, Counter[str]]:
    """The rows without what differs from run to run: times, and audit ids (a rolled back step leaves a gap)."""
    moving = {"created_at", "updated_at", "changed_at", "old_values", "new_values"}
    hidden = {table: moving | ({"id"} if table == "audit_logs" else set()) for table in rows}
    return {
        table: Counter(str({c: v for c, v in row.items() if c not in hidden[table]}) for row in found.values())
        for table, found in rows.items()
    }


def archive_of(url: str) -> list[tuple[str, str, str, dict[str, Any], dict[str, Any] | None]]:
    """The archive, oldest first: table, action, reason, row as it was, row as it became."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT table_name, action, reason, record, replacement FROM onelane.archive ORDER BY id"
        ).fetchall()


def schemas_of(url: str) -> list[str]:
    """The schemas that are ours, those kept under another name included."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'onelane%' OR nspname = 'triage' ORDER BY nspname"
        )
        return [name for (name,) in rows]


def execute(url: str, *statements: str) -> None:
    """Run statements, each committed on its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)

"""Mends rows, keeps each as it was, and puts them back.

A row that is removed or changed goes to `onelane.archive` and into the bot's audit, in the same statement. Suspects of
every kind are looked for first, which may take long and locks nothing. Then the tables are locked against writers and
the suspects alone are judged again, kind by kind: what is judged is what is changed.

Whichever step finds a row, it is archived under `HOME`: only when that step is undone has the table no constraint of
ours any more, so that every row can come back.
"""

# ruff: noqa: S608 - every part of these statements is written in this package

from collections.abc import Iterable
from typing import Any

from tasks.adopt import catalog
from tasks.adopt.dirt import Dirt, possible
from tasks.adopt.target import KEY_OF
from worker.migrate.surgery import Surgery

HOME = "0002b_clean_rows"
ACTOR = "onelane"


def repair(surgery: Surgery, dirt: Iterable[Dirt]) -> None:
    """Mend each kind of dirt, in order."""
    suspects = [(kind, _suspects(surgery, kind)) for kind in possible(surgery.connection, dirt)]
    for kind, keys in suspects:
        if keys:
            surgery.execute(f"LOCK TABLE {kind.table} IN SHARE ROW EXCLUSIVE MODE")
            statement = _change(kind) if kind.change else _removal(kind)
            surgery.execute(statement, {"what": kind.what, "step": HOME, "suspects": keys})


def _suspects(surgery: Surgery, kind: Dirt) -> list[Any]:
    rows = surgery.connection.execute(f"SELECT t.{KEY_OF[kind.table]} FROM {kind.table} t WHERE {kind.where}")
    return [key for (key,) in rows]


def _removal(kind: Dirt) -> str:
    key = KEY_OF[kind.table]
    return f"""WITH gone AS (
    DELETE FROM {kind.table} t WHERE t.{key} = ANY (%(suspects)s) AND ({kind.where})
    RETURNING t.{key} AS place, to_jsonb(t) AS old),
kept AS (INSERT INTO onelane.archive (table_name, record, action, reason, step)
         SELECT '{kind.table}', old, 'removed', %(what)s, %(step)s FROM gone ORDER BY place)
{_audit(kind.table, "DELETE", "%(what)s", "gone")}"""


def _change(kind: Dirt) -> str:
    key = KEY_OF[kind.table]
    return f"""WITH was AS (
    SELECT t.{key} AS place, to_jsonb(t) AS old FROM {kind.table} t
    WHERE t.{key} = ANY (%(suspects)s) AND ({kind.where})),
mended AS (UPDATE {kind.table} m SET {kind.change} FROM was WHERE m.{key} = was.place
           RETURNING was.place, was.old, to_jsonb(m) AS new),
kept AS (INSERT INTO onelane.archive (table_name, record, replacement, action, reason, step)
         SELECT '{kind.table}', old, new, 'changed', %(what)s, %(step)s FROM mended ORDER BY place)
{_audit(kind.table, "UPDATE", "%(what)s", "mended")}"""


def _audit(table: str, operation: str, reason: str, source: str) -> str:
    """Audit rows for `source`, which has the columns `place`, and `old` and `new` as far as the operation has them."""
    old = "NULL::jsonb" if operation == "INSERT" else "old"
    new = "NULL::jsonb" if operation == "DELETE" else "new"
    return f"""INSERT INTO audit_logs
    (table_name, record_id, operation, old_values, new_values, changed_by, changed_at, reason)
SELECT '{table}', (coalesce({new}, {old}) ->> 'id')::integer, '{operation}', {old}, {new}, '{ACTOR}',
       clock_timestamp(), {reason}
FROM {source} ORDER BY place"""


def restore(surgery: Surgery) -> None:
    """Put back what was removed or changed. A row that was written since stays; its old form stays archived."""
    tables = surgery.connection.execute(
        "SELECT DISTINCT table_name FROM onelane.archive WHERE step = %s AND action <> 'conflict' ORDER BY table_name",
        (HOME,),
    ).fetchall()
    for (table,) in tables:
        # `updated_at` goes back too, so its trigger must not set it.
        surgery.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        surgery.execute(_reinsertion(table), {"step": HOME, "table": table})
        changed = surgery.connection.execute(
            "SELECT id FROM onelane.archive WHERE step = %s AND table_name = %s AND action = 'changed'"
            " ORDER BY id DESC",
            (HOME, table),
        ).fetchall()
        names = ", ".join(catalog.columns(surgery.connection, table))
        for (entry,) in changed:
            surgery.execute(_reversal(table, names), {"entry": entry})
        surgery.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def _reinsertion(table: str) -> str:
    mine = "a.step = %(step)s AND a.table_name = %(table)s AND a.action = 'removed'"
    key, audit = KEY_OF[table], _audit(table, "INSERT", "'restored by migrate down'", "back")
    return f"""WITH back AS (
    INSERT INTO {table} AS t
    SELECT r.* FROM onelane.archive a, jsonb_populate_record(NULL::{table}, a.record) r WHERE {mine} ORDER BY a.id
    ON CONFLICT DO NOTHING RETURNING t.{key} AS place, to_jsonb(t) AS new),
cleared AS (DELETE FROM onelane.archive a USING back WHERE {mine} AND a.record = back.new)
{audit}"""


def _reversal(table: str, names: str) -> str:
    audit = _audit(table, "UPDATE", "'restored by migrate down'", "back")
    return f"""WITH entry AS (SELECT * FROM onelane.archive WHERE id = %(entry)s),
back AS (
    UPDATE {table} t SET ({names}) = (SELECT {names} FROM jsonb_populate_record(NULL::{table}, entry.record))
    FROM entry WHERE to_jsonb(t) - 'updated_at' = entry.replacement - 'updated_at'
    RETURNING entry.id AS place, entry.replacement AS old, to_jsonb(t) AS new),
cleared AS (DELETE FROM onelane.archive WHERE id = %(entry)s AND EXISTS (SELECT FROM back))
{audit}"""

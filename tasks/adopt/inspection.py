"""Looks at a database, changes nothing: what is there, what stands in the way, whether the final catalog holds."""

# ruff: noqa: S608 - every part of these statements is written in this package

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.dirt import DIRT, ODDITIES, Dirt
from tasks.adopt.shapes import nearest, things_in
from tasks.adopt.table_step import matches, settled
from tasks.adopt.target import TABLES, Table
from worker.migrate import Finding, Outlook

EXAMPLES = 5


def look(connection: psycopg.Connection[Any]) -> Outlook:
    """The shape and the findings."""
    shape, differences = nearest(things_in(connection))
    findings = [*_found(connection, DIRT, blocks=True), *_found(connection, ODDITIES, blocks=False)]
    return Outlook(shape, differences, findings)


def departures(connection: psycopg.Connection[Any]) -> list[str]:
    """Each departure from the final catalog and its data rules, as a sentence."""
    there = catalog.tables(connection)
    found: list[str] = []
    for table in TABLES:
        if table.name not in there:
            found.append(f"The table {table.name} is missing.")
        else:
            found.extend(_table_departures(connection, table))
    if not found:
        found = [f"{row.count} row(s): {row.what}." for row in _found(connection, DIRT, blocks=True)]
    return found


def _found(connection: psycopg.Connection[Any], dirt: Iterable[Dirt], *, blocks: bool) -> Iterator[Finding]:
    there = catalog.tables(connection)
    for kind in dirt:
        if not _can_ask(connection, there, kind):
            continue
        key = "t.slack_id" if kind.table == "admin_channel_membership" else "t.id"
        query = f"SELECT {key}::text FROM {kind.table} t WHERE {kind.where} ORDER BY {key}"
        keys = [row[0] for row in connection.execute(query)]
        if keys:
            what = f"{kind.table}: {kind.what}{_approved(connection, kind)}"
            examples = [f"{key.removeprefix('t.')} {value}" for value in keys[:EXAMPLES]]
            yield Finding(what, len(keys), kind.remedy if blocks else "left as it is; please look", blocks, examples)


def _can_ask(connection: psycopg.Connection[Any], there: dict[str, str], kind: Dirt) -> bool:
    """A rule may need the table of the sprints, or a column that older databases lack."""
    if kind.table not in there or ("FROM sprints s" in kind.where and "sprints" not in there):
        return False
    return ".active" not in kind.where or "active" in catalog.columns(connection, kind.table)


def _approved(connection: psycopg.Connection[Any], kind: Dirt) -> str:
    if kind.table != "overrides":
        return ""
    row = connection.execute(f"SELECT count(*) FROM overrides t WHERE ({kind.where}) AND t.approved").fetchone()
    return f" ({row[0]} of them approved)" if row and row[0] else ""


def _table_departures(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    columns = catalog.columns(connection, table.name)
    for column in table.columns:
        if column.name not in columns:
            yield f"{table.name}.{column.name} is missing."
        elif not settled(columns[column.name], column):
            yield f"{table.name}.{column.name} is {columns[column.name].type}, expected {column.type}."
    facts = {fact.name: fact for fact in catalog.constraints(connection, table.name)}
    wanted = {rule.name: rule for rule in table.constraints}
    for name, rule in wanted.items():
        if name not in facts:
            yield f"{table.name}: the constraint {name} is missing."
        elif not matches(facts[name], rule):
            yield f"{table.name}: {name} is {facts[name].definition}, expected {rule.definition}."
        elif not facts[name].valid:
            yield f"{table.name}: {name} is not validated."
    for name in sorted(facts.keys() - wanted.keys()):
        yield f"{table.name}: the constraint {name} should not be there."
    yield from _index_departures(connection, table)
    trigger = f"update_{table.name}_updated_at"
    if table.touched and trigger not in catalog.triggers(connection, table.name):
        yield f"{table.name}: the trigger {trigger} is missing."


def _index_departures(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    indexes = {index.name: index for index in catalog.indexes(connection, table.name)}
    for wanted in table.indexes:
        index = indexes.pop(wanted.name, None)
        if index is None:
            yield f"{table.name}: the index {wanted.name} is missing."
        elif not index.valid:
            yield f"{table.name}: the index {wanted.name} is not valid."
    for index in indexes.values():
        if index.unique:
            yield f"{table.name}: the unique index {index.name} should not be there."

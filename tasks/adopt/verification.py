"""What `verify` proves: the final catalog, and the data rules that no type or constraint of it holds by itself."""

from collections.abc import Iterator
from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.comparison import belongs, is_rule, is_touch
from tasks.adopt.dirt import DIRT
from tasks.adopt.inspection import found
from tasks.adopt.numbering import lagging
from tasks.adopt.target import TABLES, Table


def departures(connection: psycopg.Connection[Any]) -> list[str]:
    """Each departure from the final catalog, or else from the data rules, as a sentence."""
    there = catalog.tables(connection)
    sentences: list[str] = []
    for table in TABLES:
        if table.name not in there:
            sentences.append(f"The table {table.name} is missing.")
            continue
        for part in (_columns, _constraints, _indexes, _trigger):
            sentences.extend(f"{table.name}: {sentence}." for sentence in part(connection, table))
    sentences.extend(f"{table}: its sequence lags behind its ids." for table in lagging(connection))
    rules = () if sentences else (kind for kind in DIRT if not kind.held_off)
    return sentences + [f"{row.what}: {row.count} row(s)." for row in found(connection, rules, blocks=True)]


def _columns(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    there = catalog.columns(connection, table.name)
    for column in table.columns:
        fact = there.get(column.name)
        if fact is None:
            yield f"the column {column.name} is missing"
            continue
        if not column.is_a(fact.type):
            yield f"{column.name} is {fact.type}, expected {column.type}"
        if fact.not_null != column.required:
            yield f"{column.name} must {'not ' if column.required else ''}be nullable"
        if not fact.has_default and ("DEFAULT" in column.rest or column.type == "serial"):
            yield f"{column.name} has no default"
    if catalog.primary_key(connection, table.name) != f"PRIMARY KEY ({table.key})":
        yield f"the primary key ({table.key}) is missing"


def _constraints(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    facts = {fact.name: fact for fact in catalog.constraints(connection, table.name)}
    for rule in table.constraints:
        fact = facts.pop(rule.name, None)
        if fact is None:
            yield f"the constraint {rule.name} is missing"
        elif not is_rule(fact, rule):
            yield f"{rule.name} is {fact.definition}, expected {rule.definition}"
        elif not fact.valid:
            yield f"{rule.name} is not validated"
    for name in facts:
        yield f"the constraint {name} should not be there"


def _indexes(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    facts = {fact.name: fact for fact in catalog.indexes(connection, table.name)}
    for fact in facts.values():
        if not belongs(fact, table):
            yield f"the index {fact.name} should not be there"
    for index in table.indexes:
        if index.name not in facts:
            yield f"the index {index.name} is missing"


def _trigger(connection: psycopg.Connection[Any], table: Table) -> Iterator[str]:
    if not table.touched:
        return
    if catalog.triggers(connection, table.name).get(table.trigger) != table.trigger_definition:
        yield f"the trigger {table.trigger} is missing, switched off or another one"
    source = connection.execute("SELECT prosrc FROM pg_proc WHERE oid = to_regproc('public.update_updated_at_column')")
    if not all(is_touch(text) for (text,) in source):
        yield f"the function of {table.trigger} is another one"

"""The databases that must not be adopted, found before anything is changed."""

from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.target import TABLES, Table
from worker.errors import ConfigurationError

TEXT = {"text", "character varying"}
FAMILIES = {"serial": "integer", "timestamp": "timestamp without time zone", "varchar": "character varying"}


def refuse(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError when a table is not the bot's, or not ours to change."""
    kinds = catalog.tables(connection)
    for table in TABLES:
        if table.name in kinds:
            if kinds[table.name] != "r":
                raise ConfigurationError(f"public.{table.name} is no plain table: this is not the bot's database.")
            _same_columns(connection, table)
            _owned(connection, table)


def _same_columns(connection: psycopg.Connection[Any], table: Table) -> None:
    there = catalog.columns(connection, table.name)
    for column in table.columns:
        fact = there.get(column.name)
        if fact is None:
            if column.newer:
                continue
            raise ConfigurationError(
                f"public.{table.name} has no column {column.name}: this is not the bot's database."
            )
        wanted, found = _family(column.type), _family(fact.type)
        if found != wanted and not {wanted, found} <= TEXT:
            raise ConfigurationError(
                f"public.{table.name}.{column.name} is {found}, expected {wanted}: this is not the bot's database."
            )


def _family(type_name: str) -> str:
    base = type_name.partition("(")[0].strip()
    return FAMILIES.get(base, base)


def _owned(connection: psycopg.Connection[Any], table: Table) -> None:
    row = connection.execute(
        "SELECT pg_has_role(relowner, 'USAGE'), pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::regclass",
        (f"public.{table.name}",),
    ).fetchone()
    if row and not row[0]:
        raise ConfigurationError(f"public.{table.name} belongs to {row[1]}: run this as {row[1]}.")

"""The databases that must not be adopted, found before anything is changed."""

from typing import Any

import psycopg

from tasks.adopt import catalog
from tasks.adopt.comparison import is_touch
from tasks.adopt.target import TABLES, Table
from worker.errors import ConfigurationError

TEXT = {"text", "character varying"}
FAMILIES = {"serial": "integer", "timestamp": "timestamp without time zone", "varchar": "character varying"}


def refuse(connection: psycopg.Connection[Any]) -> None:
    """Raise ConfigurationError when a table is not the bot's, or not ours to change."""
    if connection.execute("SELECT FROM pg_namespace WHERE nspname = 'public'").fetchone() is None:
        raise _stranger("There is no schema public")
    kinds = catalog.tables(connection)
    for table in TABLES:
        if table.name in kinds:
            if kinds[table.name] != "r":
                raise _stranger(f"public.{table.name} is no plain table")
            _same_columns(connection, table)
            _owned(connection, table)
    _function_owned(connection)
    _may_create(connection)


def _stranger(fact: str) -> ConfigurationError:
    return ConfigurationError(f"{fact}: this is not the bot's database.")


def _same_columns(connection: psycopg.Connection[Any], table: Table) -> None:
    there = catalog.columns(connection, table.name)
    for column in table.columns:
        fact = there.pop(column.name, None)
        if fact is None:
            if column.newer:
                continue
            raise _stranger(f"public.{table.name} has no column {column.name}")
        wanted, found = _family(column.type), _family(fact.type)
        if found != wanted and not {wanted, found} <= TEXT:
            raise _stranger(f"public.{table.name}.{column.name} is {found}, expected {wanted}")
    for fact in there.values():
        if fact.not_null and not fact.has_default:
            raise _stranger(f"public.{table.name}.{fact.name} must have a value, and we know none for it")
    if catalog.primary_key(connection, table.name) != f"PRIMARY KEY ({table.key})":
        raise _stranger(f"public.{table.name} has no primary key ({table.key})")


def _family(type_name: str) -> str:
    base = type_name.partition("(")[0].strip()
    return FAMILIES.get(base, base)


def _owned(connection: psycopg.Connection[Any], table: Table) -> None:
    row = connection.execute(
        "SELECT pg_get_userbyid(relowner), pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::regclass",
        (f"public.{table.name}",),
    ).fetchone()
    if row and not row[1]:
        raise ConfigurationError(f"public.{table.name} belongs to {row[0]}: run this as {row[0]}.")


def _function_owned(connection: psycopg.Connection[Any]) -> None:
    """The function of the triggers must be ours to replace, unless it is as it shall be."""
    row = connection.execute(
        "SELECT pg_get_userbyid(proowner), pg_has_role(proowner, 'USAGE'), prosrc FROM pg_proc"
        " WHERE proname = 'update_updated_at_column' AND pronamespace = 'public'::regnamespace AND pronargs = 0"
    ).fetchone()
    if row and not row[1] and not is_touch(row[2]):
        raise ConfigurationError(f"update_updated_at_column() belongs to {row[0]}: run this as {row[0]}.")


def _may_create(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SELECT current_user, has_schema_privilege('public', 'CREATE')").fetchone()
    if row and not row[1]:
        raise ConfigurationError(f"{row[0]} may not create indexes in the schema public: GRANT CREATE to it first.")

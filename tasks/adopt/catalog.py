"""What PostgreSQL's catalog says of a table, reduced to its meaning.

The same CHECK prints differently after a dump (`ARRAY[…]::text[]`), and the same key is a constraint in one
database and a bare unique index in another. So definitions are compared without casts, parentheses and blanks. Names
are as SQL takes them: in double quotes where they need it.
"""

import re
from dataclasses import dataclass
from typing import Any

import psycopg

CAST = re.compile(r"::(character varying|timestamp without time zone|[a-z_]+)(\(\d+\))?(\[\])?")


@dataclass(frozen=True)
class ColumnFact:
    """A column as it is."""

    name: str
    type: str
    not_null: bool
    has_default: bool


@dataclass(frozen=True)
class ConstraintFact:
    """A constraint as it is: kind `u`, `c` or `f`, and the index that it is or rests on."""

    table: str
    name: str
    kind: str
    definition: str
    valid: bool
    index: str | None


@dataclass(frozen=True)
class IndexFact:
    """An index that is no constraint."""

    name: str
    unique: bool
    definition: str
    valid: bool

    @property
    def key(self) -> str:
        """Its columns and predicate, without its name."""
        return self.definition.split(" USING ", 1)[1]


def meaning(definition: str) -> str:
    """A definition without what does not matter."""
    return re.sub(r"[\s()]|NOT VALID$|^CHECK", "", CAST.sub("", definition))


def tables(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The relations of the schema `public`, and of which kind each is (`r`: a plain table)."""
    return dict(
        connection.execute(
            "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchall()
    )


def columns(connection: psycopg.Connection[Any], table: str) -> dict[str, ColumnFact]:
    """The columns of a table by name."""
    rows = connection.execute(
        "SELECT quote_ident(attname), format_type(atttypid, atttypmod), attnotnull, atthasdef OR attidentity <> ''"
        " FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (f"public.{table}",),
    )
    return {row[0]: ColumnFact(*row) for row in rows}


def constraints(connection: psycopg.Connection[Any], table: str) -> list[ConstraintFact]:
    """The unique, CHECK and foreign key constraints of a table, foreign keys first: others can't go before them."""
    rows = connection.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), contype::text, pg_get_constraintdef(oid), convalidated,"
        "       (SELECT quote_ident(relname) FROM pg_class WHERE pg_class.oid = conindid)"
        " FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('u', 'c', 'f')"
        " ORDER BY contype <> 'f', conname",
        (f"public.{table}",),
    )
    return [ConstraintFact(*row) for row in rows]


def primary_key(connection: psycopg.Connection[Any], table: str) -> str | None:
    """The definition of a table's primary key."""
    row = connection.execute(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'",
        (f"public.{table}",),
    ).fetchone()
    return row and row[0]


def dependents(connection: psycopg.Connection[Any], index: str) -> list[ConstraintFact]:
    """The foreign keys that rest on an index."""
    rows = connection.execute(
        "SELECT conrelid::regclass::text, quote_ident(conname), contype::text, pg_get_constraintdef(oid), convalidated,"
        "       %(index)s"
        " FROM pg_constraint WHERE conindid = to_regclass(%(index)s) AND contype = 'f' ORDER BY conname",
        {"index": f"public.{index}"},
    )
    return [ConstraintFact(*row) for row in rows]


def indexes(connection: psycopg.Connection[Any], table: str) -> list[IndexFact]:
    """The indexes of a table that belong to no constraint."""
    rows = connection.execute(
        "SELECT quote_ident(relname), indisunique, pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
        " JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %s::regclass"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = indrelid"
        "                 AND contype IN ('p', 'u', 'x'))"
        " ORDER BY relname",
        (f"public.{table}",),
    )
    return [IndexFact(*row) for row in rows]


def triggers(connection: psycopg.Connection[Any], table: str) -> dict[str, str]:
    """The triggers of a table and their definitions; one that is switched off is as good as none."""
    return dict(
        connection.execute(
            "SELECT tgname, replace(pg_get_triggerdef(oid), 'public.', '') FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
            (f"public.{table}",),
        ).fetchall()
    )

"""What an undo would lose: the rows that an old key or an old CHECK refuses, if it comes back."""

# ruff: noqa: S608 - names and definitions come from the catalog, quoted by PostgreSQL

import re

from tasks.adopt.catalog import ConstraintFact
from tasks.adopt.target import KEY_OF
from worker.migrate.surgery import Lost

PLAIN_KEY = re.compile(r"(?:btree )?\((\w+(?:, \w+)*)\)(?: WHERE \(\w+ IS NOT NULL\))?")


def against(fact: ConstraintFact) -> Lost | None:
    """The rows that a dropped constraint would refuse if it came back."""
    if fact.kind == "u":
        return twins(fact.table, fact.definition.removeprefix("UNIQUE "))
    if fact.kind == "c":
        condition = fact.definition.removeprefix("CHECK ").removesuffix(" NOT VALID")
        return Lost(fact.table, f"SELECT t.ctid FROM {fact.table} t WHERE NOT {condition}", f"{fact.name} refuses them")
    return None


def twins(table: str, key: str) -> Lost | None:
    """The later ones of the rows that are the same to a unique key; None for a key that is no list of columns."""
    found = PLAIN_KEY.fullmatch(key)
    if found is None:
        return None
    columns, order = found[1].split(", "), KEY_OF[table]
    same = " AND ".join(f"o.{column} = t.{column}" for column in columns)
    query = f"SELECT t.ctid FROM {table} t WHERE EXISTS (SELECT FROM {table} o WHERE {same} AND o.{order} < t.{order})"
    return Lost(table, query, f"a second row of the same {', '.join(columns)}")

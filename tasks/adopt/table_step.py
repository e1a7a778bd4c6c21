"""Brings one table to its final shape, from whatever is there.

It compares what is there with what shall be, by meaning, and does the difference. Nothing here takes long under a
lock: the rows are clean by then, CHECKs and foreign keys are added unvalidated, and a large table's indexes are built
ahead, without blocking writers, under a name of ours; the step then only renames them.
"""

# ruff: noqa: S608 - every part of these statements is written in this package

import re
from functools import partial
from typing import Any

import psycopg
from psycopg import errors

from tasks.adopt import catalog
from tasks.adopt.catalog import ColumnFact, ConstraintFact, IndexFact, meaning
from tasks.adopt.dirt import TWINS
from tasks.adopt.repair import repair, restore
from tasks.adopt.target import OBSOLETE, Column, Index, Rule, Table, Unique
from worker.migrate.session import in_transaction
from worker.migrate.step import Step
from worker.migrate.surgery import Lost, Surgery

LARGE_BYTES = 8 * 1024 * 1024
"""From this size on an index is built ahead; below, it takes milliseconds."""
AHEAD = "onelane_new_"
"""Prefix of indexes that are built ahead: one that a kill left behind is recognized and built anew."""
BUILD_ATTEMPTS = 3


class TableStep(Step):
    """One table."""

    def __init__(self, name: str, table: Table) -> None:
        self.name = name
        self.table = table

    def apply(self, surgery: Surgery) -> None:
        """Drop what must go, then make what is missing."""
        self._drop_constraints(surgery)
        self._drop_indexes(surgery)
        self._set_types(surgery)
        for unique in self.table.uniques:
            self._make_unique(surgery, unique)
        for rule in self.table.rules:
            self._make_rule(surgery, rule)
        for index in self.table.indexes:
            self._make_index(surgery, index)
        if self.table.touched:
            self._make_trigger(surgery)

    def revert(self, surgery: Surgery, *, archive_conflicts: bool) -> None:
        """Undo, then put back the rows that were mended here."""
        surgery.undo(archive_conflicts=archive_conflicts)
        restore(surgery)

    def prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Build a large table's missing indexes without blocking writers."""
        size = connection.execute("SELECT pg_relation_size(to_regclass(%s))", (f"public.{self.table.name}",)).fetchone()
        if not size or (size[0] or 0) < LARGE_BYTES:
            return
        there = {index.name for index in catalog.indexes(connection, self.table.name)}
        there |= {constraint.name for constraint in catalog.constraints(connection, self.table.name)}
        for wanted in self.table.keys:
            if wanted.name not in there:
                self._build(connection, wanted)

    def _build(self, connection: psycopg.Connection[Any], wanted: Unique | Index) -> None:
        name, unique = AHEAD + wanted.name, "UNIQUE" if isinstance(wanted, Unique) else ""
        for _ in range(BUILD_ATTEMPTS):
            connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            try:
                connection.execute(
                    f"CREATE {unique} INDEX CONCURRENTLY {name} ON {self.table.name} ({', '.join(wanted.columns)})"
                )
            except errors.UniqueViolation:
                # A writer came between the repair and the build. Once more; the step itself repairs under a lock.
                in_transaction(connection, partial(repair, Surgery(connection, self.name), TWINS[self.table.name]))
            else:
                return
        connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

    def _drop_constraints(self, surgery: Surgery) -> None:
        wanted = {rule.name: rule for rule in self.table.constraints}
        for fact in catalog.constraints(surgery.connection, self.table.name):
            rule = wanted.get(fact.name)
            if rule is None or not matches(fact, rule):
                self._drop_constraint(surgery, fact)

    def _drop_constraint(self, surgery: Surgery, fact: ConstraintFact) -> None:
        if fact.kind == "u" and fact.index is not None:
            for other in catalog.dependents(surgery.connection, fact.index):
                self._drop_constraint(surgery, other)
        surgery.change(
            f"ALTER TABLE {fact.table} DROP CONSTRAINT {fact.name}",
            undo=f"ALTER TABLE {fact.table} ADD CONSTRAINT {fact.name} {fact.definition}",
            lost=_against(fact),
        )

    def _drop_indexes(self, surgery: Surgery) -> None:
        uniques = {unique.name: unique for unique in self.table.uniques}
        plain = {index.name: index for index in self.table.indexes}
        for fact in catalog.indexes(surgery.connection, self.table.name):
            if fact.name.startswith(AHEAD):
                continue
            if fact.unique:
                keep = fact.name in uniques and fact.key == _key(uniques[fact.name])
            elif fact.name in plain:
                keep = fact.key == _key(plain[fact.name])
            else:
                keep = fact.name not in OBSOLETE and fact.key not in {_key(wanted) for wanted in plain.values()}
            if not keep:
                self._drop_index(surgery, fact)

    def _drop_index(self, surgery: Surgery, fact: IndexFact) -> None:
        for other in catalog.dependents(surgery.connection, fact.name):
            self._drop_constraint(surgery, other)
        lost = _twins_of(self.table.name, fact.key) if fact.unique else None
        surgery.change(f"DROP INDEX {fact.name}", undo=fact.definition, lost=lost)

    def _set_types(self, surgery: Surgery) -> None:
        facts = catalog.columns(surgery.connection, self.table.name)
        for column in self.table.columns:
            was = facts[column.name].type
            if not settled(facts[column.name], column):
                surgery.change(
                    f"ALTER TABLE {self.table.name} ALTER COLUMN {column.name} TYPE {column.type}",
                    undo=f"ALTER TABLE {self.table.name} ALTER COLUMN {column.name} TYPE {was}",
                )

    def _make_unique(self, surgery: Surgery, unique: Unique) -> None:
        name, table, connection = unique.name, self.table.name, surgery.connection
        if any(fact.name == name for fact in catalog.constraints(connection, table)):
            return
        found = {fact.name: fact for fact in catalog.indexes(connection, table)}
        drop = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
        if (index := found.get(name)) is not None:
            self._convert(surgery, unique, index)
        elif (ahead := found.get(AHEAD + name)) is not None and ahead.valid:
            surgery.change(f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {ahead.name}", undo=drop)
        else:
            surgery.execute(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")
            repair(surgery, TWINS[table])
            surgery.change(f"ALTER TABLE {table} ADD CONSTRAINT {name} {unique.definition}", undo=drop)

    def _convert(self, surgery: Surgery, unique: Unique, index: IndexFact) -> None:
        """Make a unique index a constraint. There is no way back in place: the undo builds the index anew."""
        keys = catalog.dependents(surgery.connection, index.name)
        undo = [f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}" for key in keys]
        undo += [f"ALTER TABLE {self.table.name} DROP CONSTRAINT {unique.name}", index.definition]
        undo += [f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {key.definition}" for key in keys]
        surgery.change(
            f"ALTER TABLE {self.table.name} ADD CONSTRAINT {unique.name} UNIQUE USING INDEX {index.name}",
            undo="; ".join(undo),
        )

    def _make_rule(self, surgery: Surgery, rule: Rule) -> None:
        if any(fact.name == rule.name for fact in catalog.constraints(surgery.connection, self.table.name)):
            return
        surgery.change(
            f"ALTER TABLE {self.table.name} ADD CONSTRAINT {rule.name} {rule.definition} NOT VALID",
            undo=f"ALTER TABLE {self.table.name} DROP CONSTRAINT {rule.name}",
        )

    def _make_index(self, surgery: Surgery, index: Index) -> None:
        found = {fact.name: fact for fact in catalog.indexes(surgery.connection, self.table.name)}
        if index.name in found:
            return
        drop = f"DROP INDEX {index.name}"
        if (ahead := found.get(AHEAD + index.name)) is not None and ahead.valid:
            surgery.change(f"ALTER INDEX {ahead.name} RENAME TO {index.name}", undo=drop)
        else:
            columns = ", ".join(index.columns)
            surgery.change(f"CREATE INDEX {index.name} ON {self.table.name} ({columns})", undo=drop)

    def _make_trigger(self, surgery: Surgery) -> None:
        name, table = f"update_{self.table.name}_updated_at", self.table.name
        if name in catalog.triggers(surgery.connection, table):
            return
        surgery.change(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION update_updated_at_column()",
            undo=f"DROP TRIGGER {name} ON {table}",
        )


def settled(fact: ColumnFact, column: Column) -> bool:
    """Whether a column's type is final. Only texts may have another: their limit could be moved by hand."""
    return not column.type.startswith("varchar") or fact.type.replace("character varying", "varchar") == column.type


def _key(wanted: Unique | Index) -> str:
    return f"btree ({', '.join(wanted.columns)})"


def matches(fact: ConstraintFact, rule: Unique | Rule) -> bool:
    """Whether a constraint means what the rule says."""
    return _by_any(meaning(fact.definition)) == _by_any(meaning(rule.definition))


def _by_any(text: str) -> str:
    """PostgreSQL stores `x IN (…)` as `x = ANY (ARRAY[…])`."""
    return re.sub(r"IN('.*')$", r"=ANYARRAY[\1]", text)


def _against(fact: ConstraintFact) -> Lost | None:
    """The rows that a dropped constraint would refuse if it came back."""
    if fact.kind == "u":
        return _twins_of(fact.table, fact.definition.removeprefix("UNIQUE "))
    if fact.kind == "c":
        condition = fact.definition.removeprefix("CHECK ").removesuffix(" NOT VALID")
        return Lost(fact.table, f"SELECT t.ctid FROM {fact.table} t WHERE NOT {condition}", f"{fact.name} refuses them")
    return None


def _twins_of(table: str, key: str) -> Lost:
    """The later ones of the rows that a unique key would hold to be the same."""
    columns = key[key.index("(") + 1 : key.index(")")].split(", ")
    same = " AND ".join(f"o.{column} = t.{column}" for column in columns)
    query = f"SELECT t.ctid FROM {table} t WHERE EXISTS (SELECT FROM {table} o WHERE {same} AND o.id < t.id)"
    return Lost(table, query, f"a second row of the same {', '.join(columns)}")

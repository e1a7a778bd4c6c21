"""Brings one table to its final shape, from whatever is there.

It compares what is there with what shall be, by meaning, and does the difference. Nothing here takes long under a
lock: the rows are clean by then, CHECKs and foreign keys are added unvalidated, and a large table's indexes are built
ahead, without blocking writers, under a name of ours; the step then only renames them.
"""

from functools import partial
from typing import Any

import psycopg
from psycopg import errors

from tasks.adopt import catalog
from tasks.adopt.catalog import ConstraintFact, IndexFact
from tasks.adopt.comparison import belongs, is_rule
from tasks.adopt.dirt import of_table
from tasks.adopt.loss import against, twins
from tasks.adopt.repair import repair
from tasks.adopt.target import Index, Rule, Table, Unique
from worker.migrate.session import in_transaction
from worker.migrate.step import Step
from worker.migrate.surgery import Surgery

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

    def prepare(self, connection: psycopg.Connection[Any]) -> None:
        """Build a large table's missing indexes without blocking writers."""
        size = connection.execute("SELECT pg_relation_size(to_regclass(%s))", (f"public.{self.table.name}",)).fetchone()
        if size and (size[0] or 0) >= LARGE_BYTES:
            for wanted in self._missing_keys(connection):
                self._build(connection, wanted)

    def apply(self, surgery: Surgery) -> None:
        """Drop what must go, then make what is missing."""
        self._clean(surgery)
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

    def _missing_keys(self, connection: psycopg.Connection[Any]) -> list[Unique | Index]:
        """The final constraints and indexes that rest on an index and are not there yet."""
        there = {fact.name for fact in catalog.indexes(connection, self.table.name) if belongs(fact, self.table)}
        there |= {fact.name for fact in catalog.constraints(connection, self.table.name) if self._is_final(fact)}
        return [key for key in self.table.keys if key.name not in there]

    def _is_final(self, fact: ConstraintFact) -> bool:
        return any(rule.name == fact.name and is_rule(fact, rule) for rule in self.table.constraints)

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
                in_transaction(connection, partial(repair, Surgery(connection, self.name), of_table(self.table.name)))
            else:
                return

    def _clean(self, surgery: Surgery) -> None:
        """Repair what came in since, where a row could still fail this step, and lock out more of it."""
        table, connection = self.table, surgery.connection
        ahead = {fact.name for fact in catalog.indexes(connection, table.name) if fact.valid}
        missing = [key for key in self._missing_keys(connection) if AHEAD + key.name not in ahead]
        if any(isinstance(key, Unique) for key in missing) or self._unsettled(connection):
            surgery.execute(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE")
            repair(surgery, of_table(table.name))

    def _drop_constraints(self, surgery: Surgery) -> None:
        for fact in catalog.constraints(surgery.connection, self.table.name):
            if not self._is_final(fact):
                self._drop_constraint(surgery, fact)

    def _drop_constraint(self, surgery: Surgery, fact: ConstraintFact) -> None:
        if fact.kind == "u" and fact.index is not None:
            for other in catalog.dependents(surgery.connection, fact.index):
                self._drop_constraint(surgery, other)
        surgery.change(
            f"ALTER TABLE {fact.table} DROP CONSTRAINT {fact.name}",
            undo=f"ALTER TABLE {fact.table} ADD CONSTRAINT {fact.name} {fact.definition}",
            lost=against(fact),
        )

    def _drop_indexes(self, surgery: Surgery) -> None:
        for fact in catalog.indexes(surgery.connection, self.table.name):
            if not fact.valid:
                surgery.execute(f"DROP INDEX {fact.name}")  # a concurrent build that failed: nothing to come back to
            elif not belongs(fact, self.table) and not fact.name.startswith(AHEAD):
                self._drop_index(surgery, fact)

    def _drop_index(self, surgery: Surgery, fact: IndexFact) -> None:
        for other in catalog.dependents(surgery.connection, fact.name):
            self._drop_constraint(surgery, other)
        lost = twins(self.table.name, fact.key) if fact.unique else None
        surgery.change(f"DROP INDEX {fact.name}", undo=fact.definition, lost=lost)

    def _unsettled(self, connection: psycopg.Connection[Any]) -> list[tuple[str, str, str]]:
        """The columns whose type is not final: name, type as it is, final type."""
        facts = catalog.columns(connection, self.table.name)
        return [
            (column.name, facts[column.name].type, column.type)
            for column in self.table.columns
            if not column.is_a(facts[column.name].type)
        ]

    def _set_types(self, surgery: Surgery) -> None:
        for column, was, wanted in self._unsettled(surgery.connection):
            alter = f"ALTER TABLE {self.table.name} ALTER COLUMN {column} TYPE"
            surgery.change(f"{alter} {wanted}", undo=f"{alter} {was}")

    def _make_unique(self, surgery: Surgery, unique: Unique) -> None:
        name, table, connection = unique.name, self.table.name, surgery.connection
        if any(fact.name == name for fact in catalog.constraints(connection, table)):
            return
        found = {fact.name: fact for fact in catalog.indexes(connection, table)}
        if (index := found.get(name)) is not None:
            self._convert(surgery, unique, index)
            return
        source = f"USING INDEX {AHEAD + name}" if AHEAD + name in found else f"({', '.join(unique.columns)})"
        surgery.change(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE {source}",
            undo=f"ALTER TABLE {table} DROP CONSTRAINT {name}",
        )

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
        found = {fact.name for fact in catalog.indexes(surgery.connection, self.table.name)}
        if index.name in found:
            return
        if AHEAD + index.name in found:
            make = f"ALTER INDEX {AHEAD + index.name} RENAME TO {index.name}"
        else:
            make = f"CREATE INDEX {index.name} ON {self.table.name} ({', '.join(index.columns)})"
        surgery.change(make, undo=f"DROP INDEX {index.name}")

    def _make_trigger(self, surgery: Surgery) -> None:
        name, table = self.table.trigger, self.table.name
        was = catalog.triggers(surgery.connection, table).get(name)
        if was == self.table.trigger_definition:
            return
        if was is not None:
            surgery.change(f"DROP TRIGGER {name} ON {table}", undo=was)
        surgery.change(self.table.trigger_definition, undo=f"DROP TRIGGER {name} ON {table}")

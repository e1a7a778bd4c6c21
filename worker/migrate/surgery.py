"""Changes to a database that remember their own undoing.

The databases we adopt differ, and so does the way back. Hence a step writes the statement that undoes each of its
changes into `onelane.undo`, in the same transaction. `down` runs them in reverse: it leads to the shape that was
found, whatever it was.

An undo may lose rows that were written since (a second discipline, once the old key on the person is back).
Then it carries a `lost` query that finds those rows; `down` refuses when there are any, or moves them to the archive.
"""

# ruff: noqa: S608 - the statements come from the steps themselves, never from outside

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import ClientCursor

from worker.errors import ConfigurationError

SHOWN = 10


@dataclass(frozen=True)
class Executed:
    """One statement that ran, and how many rows it touched (-1 where that says nothing). Long lists are cut short."""

    sql: str
    rows: int


@dataclass(frozen=True)
class Lost:
    """What an undo would lose: `query` selects `ctid` from `table`; `removes` says whether the rows must go first."""

    table: str
    query: str
    reason: str
    removes: bool = True


@dataclass
class Surgery:
    """A connection inside a step's transaction; notes what it executes, and how to undo it."""

    connection: psycopg.Connection[Any]
    step: str
    executed: list[Executed] = field(default_factory=list)

    def execute(self, statement: str, parameters: dict[str, Any] | None = None) -> psycopg.Cursor[Any]:
        """Run a statement and note it, with its parameters filled in."""
        cursor = self.connection.execute(statement, parameters)
        self.executed.append(Executed(self._noted(statement, parameters), cursor.rowcount))
        return cursor

    def _noted(self, statement: str, parameters: dict[str, Any] | None) -> str:
        if not parameters:
            return statement.strip()
        shown = {name: value[:SHOWN] if isinstance(value, list) else value for name, value in parameters.items()}
        cut = f"-- lists are cut after {SHOWN}\n" if shown != parameters else ""
        return cut + ClientCursor(self.connection).mogrify(statement, shown).strip()

    def change(self, statement: str, *, undo: str, lost: Lost | None = None) -> None:
        """Run a statement and keep the one that undoes it."""
        self.execute(statement)
        self.connection.execute(
            "INSERT INTO onelane.undo (step, statement, lost_table, lost_query, lost_reason, lost_removes)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (self.step, undo, lost and lost.table, lost and lost.query, lost and lost.reason, lost and lost.removes),
        )

    def losses(self) -> list[str]:
        """What the undo statements would lose, in words. Changes nothing."""
        return [sentence for _, _, lost in self._undos() if lost and (sentence := self._loss(lost))]

    def undo(self, *, archive_conflicts: bool) -> None:
        """Run this step's undo statements in reverse.

        Raises ConfigurationError that names the rows which would be lost, unless `archive_conflicts` keeps them.
        """
        for entry, statement, lost in self._undos():
            if lost is not None:
                self._spare(lost, archive_conflicts=archive_conflicts)
            self.execute(statement)
            self.connection.execute("DELETE FROM onelane.undo WHERE id = %s", (entry,))

    def _undos(self) -> list[tuple[int, str, Lost | None]]:
        """This step's undo statements, newest first."""
        rows = self.connection.execute(
            "SELECT id, statement, lost_table, lost_query, lost_reason, lost_removes FROM onelane.undo"
            " WHERE step = %s ORDER BY id DESC",
            (self.step,),
        ).fetchall()
        return [(entry, statement, Lost(*lost) if lost[0] is not None else None) for entry, statement, *lost in rows]

    def _loss(self, lost: Lost) -> str:
        row = self.execute(f"SELECT count(*) FROM ({lost.query}) AS lost").fetchone()
        return f"{row[0]} row(s) of {lost.table}: {lost.reason}" if row and row[0] else ""

    def _spare(self, lost: Lost, *, archive_conflicts: bool) -> None:
        sentence = self._loss(lost)
        if not sentence:
            return
        if not archive_conflicts:
            raise ConfigurationError(f"{self.step} can't be undone without losing {sentence}. Use --archive-conflicts.")
        self.execute(
            "INSERT INTO onelane.archive (table_name, record, reason, step, action)"
            f" SELECT %(table)s, to_jsonb(t), %(reason)s, %(step)s, 'conflict' FROM {lost.table} t"
            f" WHERE t.ctid IN ({lost.query})",
            {"table": lost.table, "reason": lost.reason, "step": self.step},
        )
        if lost.removes:
            self.execute(f"DELETE FROM {lost.table} WHERE ctid IN ({lost.query})")

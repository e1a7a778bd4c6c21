"""The adoption as steps: tables and columns that are missing, rows that are wrong, each table's shape, validation."""

# ruff: noqa: S608 - every part of these statements is written in this package

from collections.abc import Sequence

from tasks.adopt import catalog
from tasks.adopt.comparison import is_touch
from tasks.adopt.dirt import DIRT
from tasks.adopt.numbering import catch_up
from tasks.adopt.repair import HOME, repair, restore
from tasks.adopt.table_step import AHEAD, TableStep
from tasks.adopt.target import TABLES, TOUCH, Column, Table
from worker.migrate.step import Step
from worker.migrate.surgery import Lost, Surgery


class MissingTables(Step):
    """Makes the tables and columns that are not there yet, and the trigger function."""

    name = "0002a_missing_tables"

    def apply(self, surgery: Surgery) -> None:
        """Tables with their primary key alone; their shape comes later, as on a database that has them."""
        self._make_function(surgery)
        there = catalog.tables(surgery.connection)
        for table in TABLES:
            if table.name not in there:
                surgery.change(table.creation, undo=f"DROP TABLE {table.name}", lost=_content(table))
                continue
            columns = catalog.columns(surgery.connection, table.name)
            for column in table.columns:
                if column.newer and column.name not in columns:
                    _add(surgery, table, column)

    def revert(self, surgery: Surgery, *, archive_conflicts: bool) -> None:
        """Drop what was made here, and an index that a killed `up` built ahead and never came to use."""
        for table in TABLES:
            for fact in catalog.indexes(surgery.connection, table.name):
                if fact.name.startswith(AHEAD):
                    surgery.execute(f"DROP INDEX {fact.name}")
        surgery.undo(archive_conflicts=archive_conflicts)

    def _make_function(self, surgery: Surgery) -> None:
        row = surgery.connection.execute(
            "SELECT pg_get_functiondef(oid), prosrc FROM pg_proc"
            " WHERE proname = 'update_updated_at_column' AND pronamespace = 'public'::regnamespace AND pronargs = 0"
        ).fetchone()
        if row is None:
            surgery.change(TOUCH, undo="DROP FUNCTION update_updated_at_column()")
        elif not is_touch(row[1]):
            surgery.change(TOUCH, undo=row[0])


class CleanRows(Step):
    """Mends the rows that the final shape would refuse."""

    name = HOME

    def apply(self, surgery: Surgery) -> None:
        """Numbers first, as repairs are audited; then `DIRT`, in its order; then the state's row, if it has none."""
        catch_up(surgery)
        repair(surgery, DIRT)
        state = "current_state"
        row = surgery.connection.execute(f"SELECT EXISTS (SELECT FROM {state})").fetchone()
        if row and not row[0]:
            # On the way back a state that was set since stays.
            surgery.change(
                f"INSERT INTO {state} (id) VALUES (1) ON CONFLICT DO NOTHING",
                undo=f"DELETE FROM {state} WHERE id = 1 AND NOT {_SET}",
            )

    def revert(self, surgery: Surgery, *, archive_conflicts: bool) -> None:
        """Put the rows back."""
        surgery.undo(archive_conflicts=archive_conflicts)
        restore(surgery)


class Validate(Step):
    """Validates CHECKs and foreign keys, each by a scan that blocks no writer."""

    name = "0002z_validate"

    def apply(self, surgery: Surgery) -> None:
        """Once more clean rows first: a writer may have added some before the constraint was there."""
        repair(surgery, DIRT)
        for table in TABLES:
            for fact in catalog.constraints(surgery.connection, table.name):
                if not fact.valid:
                    surgery.execute(f"ALTER TABLE {table.name} VALIDATE CONSTRAINT {fact.name}")


_SET = (
    "(num_nonnulls(sprint_index, account_slack_id, producer_slack_id, po_slack_id, ui_eng_slack_id, be_eng_slack_id)"
    " > 0)"
)


def all_steps() -> Sequence[Step]:
    """The steps, in their order."""
    shaped = [TableStep(f"0002{letter}_{table.name}", table) for letter, table in zip("cdefgh", TABLES, strict=True)]
    return [MissingTables(), CleanRows(), *shaped, Validate()]


def _content(table: Table) -> Lost:
    where = f" WHERE {_SET}" if table.name == "current_state" else ""
    return Lost(table.name, f"SELECT ctid FROM {table.name}{where}", "the whole table goes", removes=False)


def _add(surgery: Surgery, table: Table, column: Column) -> None:
    lost = Lost(table.name, f"SELECT ctid FROM {table.name} WHERE NOT {column.name}", "inactive people", removes=False)
    surgery.change(
        f"ALTER TABLE {table.name} ADD COLUMN {column.name} {column.type} {column.rest}",
        undo=f"ALTER TABLE {table.name} DROP COLUMN {column.name}",
        lost=lost,
    )

"""Up, down and status. Applied steps are rows of `onelane.migrations`, with the checksum of what ran."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import psycopg

from worker.errors import ConfigurationError
from worker.migrate.archive import Archived, archived_in
from worker.migrate.plan import Plan
from worker.migrate.session import alone, connect, first_line, in_transaction
from worker.migrate.step import Step
from worker.migrate.surgery import Executed, Surgery


@dataclass(frozen=True)
class Done:
    """A step that was applied or undone."""

    step: str
    number: int
    total: int
    seconds: float


@dataclass(frozen=True)
class StepStatus:
    """A step and when it was applied; None while it is pending."""

    step: str
    applied_at: datetime | None


@dataclass(frozen=True)
class Rehearsed:
    """What a step would do."""

    step: str
    executed: Sequence[Executed]


@dataclass(frozen=True)
class Rehearsal:
    """What `up` would do: its steps, and what would be in the archive then."""

    steps: Sequence[Rehearsed]
    archived: Sequence[Archived]


Progress = Callable[[Done], None]

UNFORESEEN = (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError, psycopg.NotSupportedError)


def migrate(database_url: str, progress: Progress = lambda _: None, modules: Sequence[str] | None = None) -> list[str]:
    """Apply all pending steps; returns the names of those applied.

    Raises ConfigurationError, before any change, when the database can't or must not be migrated; each step is whole
    or absent whatever happens.
    """
    plan = Plan(modules)
    with connect(database_url) as connection, alone(connection):

        def up(step: Step) -> None:
            step.prepare(connection)
            in_transaction(connection, partial(_apply, connection, step))

        return _each(plan.pending(connection), up, progress)


def pending(database_url: str, modules: Sequence[str] | None = None) -> list[str]:
    """The steps that `migrate` would apply. Raises as `migrate` does, and changes nothing."""
    with connect(database_url) as connection:
        return [step.name for step in Plan(modules).pending(connection)]


def rehearse(database_url: str, modules: Sequence[str] | None = None) -> Rehearsal:
    """What `migrate` would do, tried in one transaction that is rolled back. Raises as `migrate` does.

    Until it ends, it holds every lock that the steps take.
    """
    plan = Plan(modules)
    with connect(database_url) as connection, alone(connection):
        steps = plan.pending(connection)

        def tried() -> Rehearsal:
            rehearsed = [Rehearsed(step.name, _apply(connection, step)) for step in steps]
            return Rehearsal(rehearsed, archived_in(connection))

        return in_transaction(connection, tried, keep=False)


def down(
    database_url: str,
    progress: Progress = lambda _: None,
    *,
    to: str | None = None,
    archive_conflicts: bool = False,
    modules: Sequence[str] | None = None,
) -> list[str]:
    """Undo the newest step, or all from the newest to the step `to`, this one too; returns the names of those undone.

    Raises ConfigurationError, before any change, when a step can't be undone without losing data and
    `archive_conflicts` is off.
    """
    plan = Plan(modules)
    with connect(database_url) as connection, alone(connection):
        steps = plan.to_undo(connection, to)
        if not archive_conflicts:
            in_transaction(connection, partial(_require_no_loss, connection, steps))

        def undo(step: Step) -> None:
            in_transaction(connection, partial(_revert, connection, step, archive_conflicts=archive_conflicts))

        return _each(steps, undo, progress)


def status(database_url: str, modules: Sequence[str] | None = None) -> list[StepStatus]:
    """Each step, and when it was applied."""
    plan = Plan(modules)
    with connect(database_url) as connection:
        marks = plan.marks(connection)
        return [StepStatus(step.name, marks.get(step.name)) for step in plan.steps]


def _each(steps: Sequence[Step], work: Callable[[Step], None], progress: Progress) -> list[str]:
    """Do the steps one by one. An error that nothing foresaw names the step it came from."""
    for number, step in enumerate(steps, 1):
        started = time.monotonic()
        try:
            work(step)
        except UNFORESEEN as error:
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                raise
            raise ConfigurationError(f"{step.name} failed and left nothing behind: {first_line(error)}.") from error
        progress(Done(step.name, number, len(steps), time.monotonic() - started))
    return [step.name for step in steps]


def _apply(connection: psycopg.Connection[Any], step: Step) -> list[Executed]:
    surgery = Surgery(connection, step.name)
    step.apply(surgery)
    connection.execute("INSERT INTO onelane.migrations (name, checksum) VALUES (%s, %s)", (step.name, step.checksum))
    return surgery.executed


def _require_no_loss(connection: psycopg.Connection[Any], steps: Sequence[Step]) -> None:
    losses = [f"{step.name}: {loss}" for step in steps for loss in step.losses(Surgery(connection, step.name))]
    if losses:
        raise ConfigurationError(
            f"Going back would lose data: {'; '.join(losses)}. Use --archive-conflicts to keep it in onelane.archive"
            " (jobs: in the renamed schema)."
        )


def _revert(connection: psycopg.Connection[Any], step: Step, *, archive_conflicts: bool) -> None:
    # First the mark: the rollback of the first step takes the table of marks away.
    connection.execute("DELETE FROM onelane.migrations WHERE name = %s", (step.name,))
    step.revert(Surgery(connection, step.name), archive_conflicts=archive_conflicts)

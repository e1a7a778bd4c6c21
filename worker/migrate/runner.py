"""Up, down and status.

Applied steps are rows of `onelane.migrations`, with the checksum of what ran. Everything that could refuse is asked
before the first change: a replica, a step that this release does not know, an applied step that has changed since, and
what the domain's adoption objects to.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import resources
from typing import Any

import psycopg

from worker.errors import ConfigurationError
from worker.migrate.adoption import Adoption, adoptions
from worker.migrate.session import alone, connect, in_transaction
from worker.migrate.step import Step, in_order, sql_steps
from worker.migrate.surgery import Executed, Surgery
from worker.settings import Settings

OLDEST_SERVER = 140000


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
class Rehearsal:
    """What a step would do."""

    step: str
    executed: Sequence[Executed]


Progress = Callable[[Done], None]


def migrate(database_url: str, progress: Progress = lambda _: None, modules: Sequence[str] | None = None) -> list[str]:
    """Apply all pending steps; returns the names of those applied.

    Raises ConfigurationError, before any change, when the database can't or must not be migrated; each step is whole
    or absent whatever happens.
    """
    plan = _Plan(modules)
    with connect(database_url) as connection, alone(connection):
        steps = plan.pending(connection)
        for number, step in enumerate(steps, 1):
            started = time.monotonic()
            step.prepare(connection)
            in_transaction(connection, partial(_apply, connection, step))
            progress(Done(step.name, number, len(steps), time.monotonic() - started))
        return [step.name for step in steps]


def pending(database_url: str, modules: Sequence[str] | None = None) -> list[str]:
    """The steps that `migrate` would apply. Raises as `migrate` does, and changes nothing."""
    with connect(database_url) as connection:
        return [step.name for step in _Plan(modules).pending(connection)]


def rehearse(database_url: str, modules: Sequence[str] | None = None) -> list[Rehearsal]:
    """What `migrate` would do, tried in one transaction that is rolled back. Raises as `migrate` does."""
    plan = _Plan(modules)
    with connect(database_url) as connection, alone(connection):
        steps = plan.pending(connection)

        def tried() -> list[Rehearsal]:
            return [Rehearsal(step.name, _apply(connection, step)) for step in steps]

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

    Raises ConfigurationError when a step can't be undone without losing data and `archive_conflicts` is off; the steps
    undone before it stay undone.
    """
    plan = _Plan(modules)
    with connect(database_url) as connection, alone(connection):
        steps = plan.to_undo(connection, to)
        for number, step in enumerate(steps, 1):
            started = time.monotonic()
            in_transaction(connection, partial(_revert, connection, step, archive_conflicts=archive_conflicts))
            progress(Done(step.name, number, len(steps), time.monotonic() - started))
        return [step.name for step in steps]


def status(database_url: str, modules: Sequence[str] | None = None) -> list[StepStatus]:
    """Each step, and when it was applied."""
    plan = _Plan(modules)
    with connect(database_url) as connection:
        marks = plan.marks(connection)
        return [StepStatus(step.name, marks.get(step.name)) for step in plan.steps]


def require_migrated(connection: psycopg.Connection[Any], modules: Sequence[str] | None = None) -> None:
    """Raise ConfigurationError, which says what to run, when the database lacks a step or has one we don't know."""
    plan = _Plan(modules)
    marks = plan.marks(connection)
    missing = [step.name for step in plan.steps if step.name not in marks]
    if missing:
        raise ConfigurationError(f"The database lacks {len(missing)} migration step(s): run `onelane migrate up`.")


class _Plan:
    """All known steps, and the adoptions that have a say."""

    def __init__(self, modules: Sequence[str] | None) -> None:
        self.adoptions: list[Adoption] = adoptions(Settings.load().task_modules if modules is None else modules)
        steps = sql_steps(resources.files("migrations"))
        for adoption in self.adoptions:
            steps.extend(adoption.steps())
        self.steps = in_order(steps)

    def marks(self, connection: psycopg.Connection[Any]) -> dict[str, datetime]:
        """When each applied step was applied. Raises ConfigurationError when they are not this release's steps."""
        known = {step.name: step.checksum for step in self.steps}
        applied: dict[str, datetime] = {}
        for name, checksum, applied_at in _applied(connection):
            if name not in known:
                raise ConfigurationError(f"The database has step {name}, newer than this release: upgrade onelane.")
            if checksum != known[name]:
                raise ConfigurationError(f"Step {name} is not the one that was applied: restore its file.")
            applied[name] = applied_at
        return applied

    def pending(self, connection: psycopg.Connection[Any]) -> list[Step]:
        """The steps to apply, once nobody objects."""
        _refuse(connection)
        for adoption in self.adoptions:
            adoption.refuse(connection)
        marks = self.marks(connection)
        return [step for step in self.steps if step.name not in marks]

    def to_undo(self, connection: psycopg.Connection[Any], to: str | None) -> list[Step]:
        """The steps to undo, newest first. Raises ConfigurationError when `to` is not applied."""
        _refuse(connection)
        marks = self.marks(connection)
        applied = [step for step in reversed(self.steps) if step.name in marks]
        if to is None:
            return applied[:1]
        names = [step.name for step in applied]
        if to not in names:
            raise ConfigurationError(f"Step {to} is not applied; applied are {', '.join(reversed(names)) or 'none'}.")
        return applied[: names.index(to) + 1]


def _apply(connection: psycopg.Connection[Any], step: Step) -> list[Executed]:
    surgery = Surgery(connection, step.name)
    step.apply(surgery)
    connection.execute("INSERT INTO onelane.migrations (name, checksum) VALUES (%s, %s)", (step.name, step.checksum))
    return surgery.executed


def _revert(connection: psycopg.Connection[Any], step: Step, *, archive_conflicts: bool) -> None:
    # First the mark: the rollback of the first step takes the table of marks away.
    connection.execute("DELETE FROM onelane.migrations WHERE name = %s", (step.name,))
    step.revert(Surgery(connection, step.name), archive_conflicts=archive_conflicts)


def _applied(connection: psycopg.Connection[Any]) -> list[tuple[str, str, datetime]]:
    # Not to_regclass: inside a transaction it may answer from a cache that is older than another's commit.
    found = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'onelane' AND tablename = 'migrations')"
    ).fetchone()
    if found is None or not found[0]:
        return []
    return connection.execute("SELECT name, checksum, applied_at FROM onelane.migrations ORDER BY name").fetchall()


def _refuse(connection: psycopg.Connection[Any]) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise ConfigurationError("PostgreSQL 14 or newer is needed.")
    asked = connection.execute(
        "SELECT pg_is_in_recovery(), has_database_privilege(current_database(), 'CREATE')"
    ).fetchone()
    replica, may_create = asked or (False, False)
    if replica:
        raise ConfigurationError("This database is a read replica: use the primary's URL.")
    if not may_create:
        raise ConfigurationError("The database user may not create a schema here: use the owner of the database.")

"""The plan: which steps there are, which are applied, and whether anything speaks against going on.

Everything that could refuse is asked before the first change: a replica, a missing right, a step that this release
does not know, an applied step that has changed since, and what the domain's adoption objects to.
"""

from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from typing import Any

import psycopg

from worker.errors import ConfigurationError
from worker.migrate.adoption import Adoption, adoptions
from worker.migrate.step import Step, in_order, sql_steps
from worker.settings import Settings

OLDEST_SERVER = 140000


class Plan:
    """All known steps, and the adoptions that have a say."""

    def __init__(self, modules: Sequence[str] | None) -> None:
        self.adoptions: list[Adoption] = adoptions(Settings.load().task_modules if modules is None else modules)
        steps = sql_steps(resources.files("migrations"))
        for adoption in self.adoptions:
            steps.extend(adoption.steps())
        self.steps = in_order(steps)

    def marks(self, connection: psycopg.Connection[Any], *, newer_too: bool = False) -> dict[str, datetime]:
        """When each applied step was applied. Raises ConfigurationError for one that has changed since.

        Also for one that we don't know, unless `newer_too`: an old release's worker goes on beside those of the new.
        """
        known = {step.name: step.checksum for step in self.steps}
        applied: dict[str, datetime] = {}
        for name, checksum, applied_at in _applied(connection):
            if name not in known and not newer_too:
                raise ConfigurationError(
                    f"The database has step {name}, newer than this release or of a module that ONELANE_TASKS does not"
                    " name: upgrade onelane, or name the module."
                )
            if checksum != known.get(name, checksum):
                raise ConfigurationError(f"Step {name} is not the one that was applied: restore its file.")
            applied[name] = applied_at
        return applied

    def require_applied(self, connection: psycopg.Connection[Any], *, newer_too: bool = False) -> None:
        """Raise ConfigurationError, which says what to run, when a step is missing; else as `marks` does."""
        marks = self.marks(connection, newer_too=newer_too)
        missing = [step.name for step in self.steps if step.name not in marks]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ConfigurationError(f"The database lacks the migration {missing[0]}{more}: run `onelane migrate up`.")

    def pending(self, connection: psycopg.Connection[Any]) -> list[Step]:
        """The steps to apply. Raises ConfigurationError when anything speaks against it."""
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


def require_migrated(connection: psycopg.Connection[Any], modules: Sequence[str] | None = None) -> None:
    """Raise ConfigurationError, which says what to run, when the database lacks a step of this release."""
    Plan(modules).require_applied(connection, newer_too=True)


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

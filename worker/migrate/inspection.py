"""Check, verify, lockdown: what the adoptions say and do outside the steps, each in one transaction."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import psycopg

from worker.migrate.adoption import Adoption, Outlook, adoptions
from worker.migrate.plan import Plan, require_migrated
from worker.migrate.session import connect, in_transaction
from worker.settings import Settings

T = TypeVar("T")


def check(database_url: str, modules: Sequence[str] | None = None) -> list[Outlook]:
    """What each adoption finds. Changes nothing. Raises ConfigurationError when the database can't be adopted."""
    plan = Plan(modules)

    def look(connection: psycopg.Connection[Any], adoption: Adoption) -> Outlook:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        plan.marks(connection)
        adoption.refuse(connection)
        return adoption.check(connection)

    return _ask(database_url, modules, look)


def verify(database_url: str, modules: Sequence[str] | None = None) -> list[str]:
    """Each departure from the final catalog and its data rules; empty when all is well.

    Raises ConfigurationError when a step is missing.
    """

    def look(connection: psycopg.Connection[Any], adoption: Adoption) -> list[str]:
        require_migrated(connection, modules)
        return adoption.verify(connection)

    return [sentence for sentences in _ask(database_url, modules, look) for sentence in sentences]


def lockdown(database_url: str, role: str, *, password: str = "", modules: Sequence[str] | None = None) -> None:
    """Make a role for the bot that reads everything and writes none of the workers' tables."""
    _ask(database_url, modules, lambda connection, adoption: adoption.lockdown(connection, role, password))


def unlock(database_url: str, role: str, modules: Sequence[str] | None = None) -> None:
    """Take the role away again."""
    _ask(database_url, modules, lambda connection, adoption: adoption.unlock(connection, role))


def _ask(
    database_url: str,
    modules: Sequence[str] | None,
    question: Callable[[psycopg.Connection[Any], Adoption], T],
) -> list[T]:
    names = Settings.load().task_modules if modules is None else modules
    with connect(database_url) as connection:
        return [in_transaction(connection, partial(question, connection, adoption)) for adoption in adoptions(names)]

"""Check, verify, lockdown: what the adoptions say and do outside the steps, each in one transaction."""

import re
from collections.abc import Sequence

from worker.errors import ConfigurationError
from worker.migrate.adoption import Outlook
from worker.migrate.plan import Plan
from worker.migrate.session import alone, connect, in_transaction

ROLE = re.compile(r"(?!pg_)[ -~]{1,63}")


def check(database_url: str, modules: Sequence[str] | None = None) -> list[Outlook]:
    """What each adoption finds. Changes nothing. Raises ConfigurationError when `up` would refuse this database."""
    plan = Plan(modules)
    with connect(database_url) as connection:

        def look() -> list[Outlook]:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            plan.pending(connection)
            return [adoption.check(connection) for adoption in plan.adoptions]

        return in_transaction(connection, look)


def verify(database_url: str, modules: Sequence[str] | None = None) -> list[str]:
    """Each departure from the final catalog and its data rules; empty when all is well.

    Raises ConfigurationError when a step is missing.
    """
    plan = Plan(modules)
    with connect(database_url) as connection:

        def look() -> list[str]:
            plan.require_applied(connection)
            return [sentence for adoption in plan.adoptions for sentence in adoption.verify(connection)]

        return in_transaction(connection, look)


def lockdown(database_url: str, role: str, *, password: str = "", modules: Sequence[str] | None = None) -> None:
    """Make a role for the bot that reads everything and writes none of the workers' tables.

    Raises ConfigurationError when a step is missing, or the role is not one that was made here.
    """
    if not ROLE.fullmatch(role):
        raise ConfigurationError("A role's name has 1 to 63 characters, prints, and does not begin with pg_.")
    plan = _with_adoptions(modules)
    with connect(database_url) as connection, alone(connection):

        def lock() -> None:
            plan.require_applied(connection)
            for adoption in plan.adoptions:
                adoption.lockdown(connection, role, password)

        in_transaction(connection, lock)


def unlock(database_url: str, role: str, modules: Sequence[str] | None = None) -> None:
    """Take the role away again. Raises ConfigurationError when it is not one that `lockdown` made."""
    plan = _with_adoptions(modules)
    with connect(database_url) as connection, alone(connection):

        def free() -> None:
            for adoption in plan.adoptions:
                adoption.unlock(connection, role)

        in_transaction(connection, free)


def _with_adoptions(modules: Sequence[str] | None) -> Plan:
    plan = Plan(modules)
    if not plan.adoptions:
        raise ConfigurationError("No module in ONELANE_TASKS has tables to lock: add the one that adopts the database.")
    return plan

"""The adoption of the bot's real database: what is there, what is wrong, one final shape, and the way back."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

import psycopg

from tasks.adopt.inspection import look
from tasks.adopt.lockdown import lock_down, unlock
from tasks.adopt.refusal import refuse
from tasks.adopt.steps import all_steps
from tasks.adopt.target import TABLES
from tasks.adopt.verification import departures
from worker.migrate import Adoption, Outlook, Step, sql_steps


class BotAdoption:
    """The Triage Rotation Bot's part in `onelane migrate`."""

    tables: Sequence[str] = tuple(f"public.{table.name}" for table in TABLES)

    def steps(self) -> Sequence[Step]:
        """From any shape to the final one, and the rules of the rotation on top of it."""
        return [*all_steps(), *sql_steps(resources.files("tasks") / "migrations")]

    def refuse(self, connection: psycopg.Connection[Any]) -> None:
        """Raise ConfigurationError when this is not the bot's database."""
        refuse(connection)

    def check(self, connection: psycopg.Connection[Any]) -> Outlook:
        """The shape and what stands in the way."""
        return look(connection)

    def verify(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Each departure from the final catalog, as a sentence."""
        return departures(connection)

    def lockdown(self, connection: psycopg.Connection[Any], role: str, password: str) -> None:
        """Make the role, or bring its rights up to date."""
        lock_down(connection, role, password)

    def unlock(self, connection: psycopg.Connection[Any], role: str) -> None:
        """Take the role away."""
        unlock(connection, role)


ADOPTION: Adoption = BotAdoption()

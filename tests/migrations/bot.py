"""Writes as today's bot does: its own statements, each with the audit row that it adds on another connection."""

import random
import threading
from collections.abc import Callable

import psycopg

from tests.migrations.fill import ROLES

Error = tuple[str, str | None, str | None]
"""Operation, SQLSTATE, constraint."""

AUDIT = (
    "INSERT INTO audit_logs (table_name, record_id, operation, new_values, changed_by, reason)"
    " VALUES (%s, NULL, %s, '{}', 'U000001', 'bot')"
)


class TodaysBot:
    """One bot process: a seeded stream of writes, and the errors it met."""

    def __init__(self, url: str, seed: int, *, knows_active: bool) -> None:
        self.url = url
        self.dice = random.Random(seed)
        self.errors: set[Error] = set()
        self.writes = 0
        self._stopped = threading.Event()
        self._active = ", active = TRUE" if knows_active else ""

    def write(self, rounds: int) -> None:
        """So many writes of every kind."""
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            for _ in range(rounds):
                self._round(connection)

    def run(self) -> None:
        """Write until `stop`."""
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            while not self._stopped.is_set():
                self._round(connection)

    def stop(self) -> None:
        """End `run` after the round it is in."""
        self._stopped.set()

    def _round(self, connection: psycopg.Connection) -> None:
        for operation in (self._user, self._sprint, self._state, self._request, self._approve, self._decline):
            self._try(connection, operation)

    def _try(self, connection: psycopg.Connection, operation: Callable[[psycopg.Connection], str]) -> None:
        try:
            table = operation(connection)
            self.writes += 1
        except psycopg.Error as error:
            self.errors.add((operation.__name__, error.sqlstate, error.diag.constraint_name))
            return
        for kind in ("UPSERT", "UPDATE"):
            try:
                connection.execute(AUDIT, (table, kind))
            except psycopg.Error as error:
                self.errors.add((f"audit {kind}", error.sqlstate, error.diag.constraint_name))

    def _user(self, connection: psycopg.Connection) -> str:
        connection.execute(
            "INSERT INTO users (slack_id, name, discipline) VALUES (%s, %s, %s) ON CONFLICT (slack_id, discipline)"  # noqa: S608 - our own words
            f" DO UPDATE SET name = EXCLUDED.name{self._active}, updated_at = CURRENT_TIMESTAMP",
            (f"U{self.dice.randrange(300):06}", f"Bot {self.dice.random()}", self.dice.choice(ROLES)),
        )
        return "users"

    def _sprint(self, connection: psycopg.Connection) -> str:
        index = self.dice.randrange(120)
        connection.execute(
            "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
            " VALUES (%s, '2031-01-01', '2031-01-14', %s) ON CONFLICT (sprint_index)"
            " DO UPDATE SET sprint_name = EXCLUDED.sprint_name, updated_at = CURRENT_TIMESTAMP",
            (f"Sp {self.dice.random()}", index),
        )
        return "sprints"

    def _state(self, connection: psycopg.Connection) -> str:
        connection.execute(
            "INSERT INTO current_state (id, sprint_index, po_slack_id) VALUES (1, %s, 'U000002') ON CONFLICT (id)"
            " DO UPDATE SET sprint_index = EXCLUDED.sprint_index, po_slack_id = EXCLUDED.po_slack_id",
            (self.dice.randrange(50),),
        )
        return "current_state"

    def _request(self, connection: psycopg.Connection) -> str:
        connection.execute(
            "INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id, approved)"
            " VALUES (%s, %s, %s, 'U000003', FALSE) ON CONFLICT"
            " (sprint_index, role, requested_by, replacement_slack_id) DO UPDATE SET approved = FALSE",
            (self.dice.randrange(50), self.dice.choice(ROLES), f"U{self.dice.randrange(50):06}"),
        )
        return "overrides"

    def _approve(self, connection: psycopg.Connection) -> str:
        connection.execute(
            "UPDATE overrides SET approved = TRUE, approved_by = 'U000009', approval_timestamp = CURRENT_TIMESTAMP"
            " WHERE sprint_index = %s AND approved = FALSE",
            (self.dice.randrange(50),),
        )
        return "overrides"

    def _decline(self, connection: psycopg.Connection) -> str:
        with connection.transaction():
            connection.execute("SELECT * FROM overrides WHERE sprint_index = %s", (index := self.dice.randrange(50),))
            connection.execute("DELETE FROM overrides WHERE sprint_index = %s AND approved = FALSE", (index,))
        return "overrides"

"""The session: one worker's PostgreSQL connection through outages.

It connects when it is needed, and again after it was lost. An outage begins with the second failure in a row (the first
may be a connection that somebody cut) and is over when a transaction has succeeded: a server that lets everybody in but
can't write (a replica, a full disk) is away too. Between two failures it waits longer and longer, at most 2 s.
"""

import logging
import time

import psycopg
from psycopg import Connection

from worker.alerts import Alerts
from worker.database import connect, unreachable
from worker.retry import reconnect_seconds
from worker.settings import Settings

INCIDENT = "outage:postgresql"

log = logging.getLogger(__name__)


class Outage(Exception):
    """PostgreSQL is away."""


class Session:
    """A connection that is made when needed and again after it was lost."""

    def __init__(self, settings: Settings, alerts: Alerts, name: str) -> None:
        self._settings, self._alerts, self._name = settings, alerts, name
        self._connection: Connection | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def is_away(self) -> bool:
        """Whether there is an outage."""
        return self._failures > 1

    def connection(self, deadline: float) -> Connection:
        """The connection; tries until `deadline` (monotonic, s) to make one. Raises Outage."""
        while self._connection is None:
            if self._not_before > deadline:
                raise Outage
            time.sleep(max(0.0, self._not_before - time.monotonic()))
            try:
                self._connection = connect(self._settings, name=self._name)
            except psycopg.OperationalError as error:
                self.lost(error)
        return self._connection

    def lost(self, error: Exception) -> None:
        """The server has failed: the next use makes a new connection."""
        self.close()
        self._failures += 1
        self._not_before = time.monotonic() + reconnect_seconds(self._failures)
        if self.is_away:
            self._alerts.begin(INCIDENT, unreachable(self._settings, error))

    def works(self) -> None:
        """A transaction has succeeded, or failed by its own fault."""
        if self.is_away:
            self._alerts.end(INCIDENT, "PostgreSQL can be used again; waiting jobs go on by themselves.")
        self._failures = 0

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

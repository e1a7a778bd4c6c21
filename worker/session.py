"""The session: one worker's PostgreSQL connection through outages.

It connects when it is needed, notices that the server is away, tells so once, and tells when it is back.
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

    def connection(self, deadline: float) -> Connection:
        """The connection; tries until `deadline` (monotonic, s) to make one. Raises Outage."""
        attempt = 0
        while self._connection is None:
            try:
                self._connection = connect(self._settings, name=self._name)
            except psycopg.OperationalError as error:
                attempt += 1
                self._alerts.begin(INCIDENT, unreachable(self._settings, error))
                pause = reconnect_seconds(attempt)
                if time.monotonic() + pause > deadline:
                    raise Outage from error
                time.sleep(pause)
            else:
                self._alerts.end(INCIDENT, "PostgreSQL can be used again; waiting jobs go on by themselves.")
        return self._connection

    def lost(self) -> None:
        """Whatever state the connection is in: the next use makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    close = lost

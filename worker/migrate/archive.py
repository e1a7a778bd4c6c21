"""What the migrations have taken out of the tables and still keep."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from worker.migrate.session import connect


@dataclass(frozen=True)
class Archived:
    """Rows that a migration removed or changed, for one reason; the archive has each as it was."""

    table: str
    action: str
    reason: str
    count: int
    ids: Sequence[str]
    """Of the first few."""


def archived(database_url: str) -> list[Archived]:
    """What the migrations have archived and not put back."""
    with connect(database_url) as connection:
        return archived_in(connection)


def archived_in(connection: psycopg.Connection[Any]) -> list[Archived]:
    """The same, on an open connection."""
    rows = connection.execute(
        "SELECT table_name, action, reason, count(*),"
        " (array_agg(coalesce(record ->> 'id', record ->> 'slack_id') ORDER BY id))[:5]"
        " FROM onelane.archive GROUP BY table_name, action, reason ORDER BY min(id)"
    )
    return [Archived(*row) for row in rows]


def kept_schemas(database_url: str) -> list[str]:
    """The schemas that a way back has renamed instead of dropped, as they held jobs or archived rows; oldest first."""
    with connect(database_url) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'onelane\\_kept\\_%' ORDER BY nspname"
        )
        return [name for (name,) in found]

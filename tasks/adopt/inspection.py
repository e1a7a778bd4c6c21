"""What `check` finds: the shape, and how many rows stand in the way. Changes nothing."""

# ruff: noqa: S608 - every part of these statements is written in this package

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from tasks.adopt.dirt import DIRT, ODDITIES, Dirt, possible
from tasks.adopt.numbering import lagging
from tasks.adopt.shapes import nearest, things_in
from tasks.adopt.target import KEY_OF
from worker.migrate import Finding, Outlook

EXAMPLES = 5


def look(connection: psycopg.Connection[Any]) -> Outlook:
    """The shape and the findings."""
    shape, differences = nearest(things_in(connection))
    behind = [
        Finding(f"{table}: the sequence lags behind the ids", count, "moved on")
        for table, count in lagging(connection).items()
    ]
    rows = [*found(connection, DIRT, blocks=True), *found(connection, ODDITIES, blocks=False)]
    return Outlook(shape, differences, behind + rows)


def found(connection: psycopg.Connection[Any], dirt: Iterable[Dirt], *, blocks: bool) -> Iterator[Finding]:
    """Each kind of dirt that is there; of overrides also how many are approved, as those decide who is on duty."""
    for kind in possible(connection, dirt):
        key = KEY_OF[kind.table]
        approved = "t.approved IS TRUE" if kind.table == "overrides" else "false"
        count, of_them, examples = connection.execute(
            f"SELECT count(*), count(*) FILTER (WHERE {approved}), (array_agg('{key} ' || t.{key} ||"
            f" CASE WHEN {approved} THEN ' (approved)' ELSE '' END ORDER BY t.{key}))[:{EXAMPLES}]"
            f" FROM {kind.table} t WHERE {kind.where}"
        ).fetchone() or (0, 0, [])
        if count:
            what = f"{kind.table}: {kind.what}" + (f" ({of_them} of them approved)" if of_them else "")
            yield Finding(what, count, kind.remedy if blocks else "left as it is; please look", blocks, examples)

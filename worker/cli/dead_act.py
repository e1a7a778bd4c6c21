"""What the commands of `onelane dead` have in common: a line about each letter, held lanes, and how they end."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any

import typer
from psycopg import Connection
from redis import Redis
from redis.exceptions import RedisError

from worker.cli.output import complain, say, show_table
from worker.dead_letters import Filter, lines
from worker.dead_letters.report import Line
from worker.errors import OnelaneError
from worker.lane import Keys
from worker.lane_state import Hold
from worker.query import query
from worker.settings import Settings

NONE = "There is no dead letter."
NO_MATCH = "No dead letter matches; `onelane dead stats` shows which there are."

FIRST = 20
"""How many are shown, of many."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, in order; do nothing.")]

COLUMNS = ("died", "id", "kind", "lane", "code", "error", "attempts", "replays")


def row(line: Line) -> tuple[Any, ...]:
    """A dead letter as a row of a table with `COLUMNS`."""
    code = line.code if line.status == "dead" else line.status
    state = f" ({line.sqlstate})" if line.sqlstate else ""
    error = f"{line.error_class}{state}: {(line.error or '').partition(chr(10))[0]}"
    short = error if len(error) <= 80 else f"{error[:79]}…"
    return line.finished_at, line.job_id, line.kind, line.lane, code, short, line.attempts, line.replays


def letters(number: int) -> str:
    """So many."""
    return "1 dead letter" if number == 1 else f"{number:,} dead letters"


def show_first(connection: Connection, ids: Sequence[str]) -> None:
    """The first of many dead letters, in order."""
    if ids:
        shown = lines(connection, Filter(ids=tuple(ids[:FIRST])))
        show_table(COLUMNS, [row(line) for line in shown])
    if len(ids) > FIRST:
        say(f"… and {len(ids) - FIRST:,} more.")


def held_lanes(settings: Settings, connection: Connection, redis: Redis, ids: Iterable[str]) -> dict[str, Hold]:
    """Which lanes of these jobs are held; none while Redis is away."""
    lanes = [lane for (lane,) in connection.execute(query("dead_lanes"), {"ids": list(ids)}, prepare=False)]
    try:
        notes: Any = redis.hmget(Keys(settings.prefix).named("held"), lanes) if lanes else []
    except RedisError:
        return {}
    return {lane: Hold.read(note) for lane, note in zip(lanes, notes, strict=True) if note is not None}


def say_held(held: Mapping[str, Hold]) -> None:
    """Lanes that stand still until somebody resumes them."""
    for lane, hold in islice(held.items(), FIRST):
        say(f"{lane} is held ({hold.why}): `onelane lane resume {lane}` lets it go on.")
    if len(held) > FIRST:
        say(f"… and {len(held) - FIRST:,} more lanes are held: see `onelane lanes`.")


def end(found: Filter, done: Sequence[str], refused: Mapping[str, str], *, failed: bool = False) -> None:
    """Say what was refused, and exit: 0 all was done, 1 not all, or nothing was found."""
    for job_id, why in islice(refused.items(), FIRST):
        complain(f"{job_id}: {why}")
    if len(refused) > FIRST:
        complain(f"… and {len(refused) - FIRST:,} more were refused: see --json.")
    if not done and not refused and not failed:
        raise OnelaneError(NONE if found.is_everything else NO_MATCH)
    raise typer.Exit(int(bool(refused) or failed))


def end_of_look(found: Filter, missing: Mapping[str, str], *, nothing: bool) -> None:
    """Say which ids are no dead letters, and exit: 0, or 1 when there are such, or nothing matched."""
    for job_id, why in missing.items():
        complain(f"{job_id}: {why}")
    if nothing and not missing:
        if not found.is_everything:
            raise OnelaneError(NO_MATCH)
        complain(NONE)
    raise typer.Exit(int(bool(missing)))

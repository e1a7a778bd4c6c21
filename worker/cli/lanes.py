"""`onelane lanes`: what waits, and what stands still."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from redis import Redis
from redis.exceptions import RedisError

from worker.cli.output import Json, complain, console, duration, print_json, say, show_table
from worker.lane import Keys
from worker.lane_book import LaneBook, Overview
from worker.lane_state import Lane
from worker.redis_client import redis_client, require_usable
from worker.settings import Settings

WATCH_SECONDS = 2.0


def lanes(
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="Lanes in each list.")] = 10,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 2 s, until Ctrl-C.")] = False,
    wait_empty: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Say nothing, end as soon as no job waits any more. For scripts."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the lanes that are held, parked, oldest and deepest, and how much waits in all.

    With --wait-empty: exit code 0 when no job waits, 1 when the time is over or what is left is held.
    """
    settings = Settings.load()
    with redis_client(settings) as redis:
        require_usable(redis)
        if wait_empty is not None:
            _wait_until_empty(settings, redis, wait_empty)
        elif watch:
            _watch(LaneBook(redis, Keys(settings.prefix)), limit, as_json=as_json)
        else:
            _show(LaneBook(redis, Keys(settings.prefix)).overview(limit), as_json=as_json)


def _wait_until_empty(settings: Settings, redis: Redis, seconds: float) -> None:
    from worker import database  # noqa: PLC0415 - only this needs PostgreSQL
    from worker.backlog import Backlog  # noqa: PLC0415 - the same

    if settings.database_url:
        database.require_usable(settings)
    Backlog(settings, redis).wait_until_empty(seconds)


def _watch(book: LaneBook, limit: int, *, as_json: bool) -> None:
    try:
        while True:
            try:
                found = book.overview(limit)
            except RedisError as error:
                complain(f"Redis gives no answer ({type(error).__name__}); asking again.")
            else:
                console.clear()
                _show(found, as_json=as_json)
            time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _show(found: Overview, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(found))
        return
    totals, now = found.totals, found.now.timestamp()
    say(
        f"Jobs waiting: {totals.jobs:,}. Lanes: {totals.ready:,} ready, {totals.claimed:,} claimed by workers, "
        f"{totals.parked:,} parked, {totals.held:,} held."
    )
    if totals.oldest is not None:
        say(f"The oldest ready lane waits for {duration(now - totals.oldest.timestamp())}.")
    for title, section in _sections(found).items():
        if section:
            say("")
            show_table(
                (title, "state", "jobs", "head waits", "tries", "goes on", "why"), [_row(lane, now) for lane in section]
            )
    if found.deepest:
        say("")
        noun = "lane" if found.looked_at == 1 else "lanes"
        say(f"The deepest of {found.looked_at:,} {noun} whose length was looked at.")


def _sections(found: Overview) -> dict[str, Sequence[Lane]]:
    return {"held": found.held, "parked": found.parked, "oldest": found.oldest, "deepest": found.deepest}


def _row(lane: Lane, now: float) -> tuple[Any, ...]:
    waits = duration(now - lane.head_since.timestamp()) if lane.head_since is not None else None
    return lane.name, lane.state, lane.jobs, waits, lane.attempts or None, goes_on(lane, now), why(lane)


def goes_on(lane: Lane, now: float) -> str | None:
    """When a lane that stands still goes on."""
    if lane.state == "held" and lane.due is None:
        return "when resumed"
    if lane.state in {"held", "parked"} and lane.due is not None:
        return f"in {duration(lane.due.timestamp() - now)}"
    return None


def why(lane: Lane) -> str | None:
    """Why a lane stands still, in one line: who holds it and why, or what its head failed of last."""
    if lane.hold is None and lane.error is not None:
        return lane.error.partition("\n")[0]
    return why_held(lane)


def why_held(lane: Lane) -> str | None:
    """Why a lane is held, and by whom."""
    if lane.hold is None:
        return None
    return f"{lane.hold.why} ({lane.hold.by})" if lane.hold.by else lane.hold.why


def _plain(found: Overview) -> dict[str, Any]:
    sections = {name: [plain_lane(lane) for lane in section] for name, section in _sections(found).items()}
    return {"now": found.now, "totals": asdict(found.totals), "looked_at": found.looked_at, **sections}


def plain_lane(lane: Lane) -> dict[str, Any]:
    """A lane for programs."""
    return {
        "lane": lane.name,
        "state": lane.state,
        "jobs": lane.jobs,
        "head_since": lane.head_since,
        "attempts": lane.attempts,
        "first_attempt": lane.first_attempt,
        "error": lane.error,
        "crashes": lane.crashes,
        "next_try": lane.due if lane.state in {"parked", "held"} else None,
        "held": asdict(lane.hold) if lane.hold is not None else None,
        "lease_end": lane.lease_end,
    }

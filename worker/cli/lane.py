"""`onelane lane`: look into one lane; hold, resume, retry or skip it."""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from worker.cli.lanes import goes_on, plain_lane, why_held
from worker.cli.operator import ME, Actor, Reason, Span, services
from worker.cli.output import Json, duration, print_json, say, show_fields, show_table
from worker.envelope import described
from worker.errors import OnelaneError
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import LaneBook, UnknownLane
from worker.lane_state import Lane

STILL_SECONDS = 3.0
"""How long `hold` waits for the batch that a worker has in hand."""
SKIP_SECONDS = 20.0
"""How long `skip` waits for workers to leave the lane; longer than a dead worker's lease."""
POLL_SECONDS = 0.02

app = typer.Typer(help="Look into one lane; hold, resume, retry or skip it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The lane, such as user:U0EXAMPLE01.")]


@app.command()
def show(
    name: Name,
    *,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Jobs to show.")] = 20,
    as_json: Json = False,
) -> None:
    """Show a lane: its jobs, its head's tries, why it is held, and who has claimed it."""
    with services() as (settings, redis):
        book = LaneBook(redis, Keys(settings.prefix))
        lane = book.lane(name)
        holder = book.holder(lane.token) if lane.token is not None else None
        found = book.jobs(name, limit)
        jobs = [{"place": place, "bytes": len(job), **described(job)} for place, job in enumerate(found, 1)]
        cancelled = book.cancelled([str(job["id"]) for job in jobs if "id" in job])
    if as_json:
        waiting = [{**job, "cancelled": cancelled.get(str(job.get("id")))} for job in jobs]
        print_json({**plain_lane(lane), "claimed_by": holder, "waiting": waiting})
        return
    now = time.time()
    say(_sentence(lane, holder, now))
    show_fields(
        {
            "held since": lane.hold and lane.hold.since,
            "held until": lane.hold and lane.hold.until,
            "failed tries of the head": lane.attempts or None,
            "first try": lane.first_attempt,
            "last error": lane.error,
            "workers that died under the head": lane.crashes or None,
        }
    )
    if jobs:
        show_table(("place", "id", "kind", "actor", "waits", "payload"), [_row(job, cancelled, now) for job in jobs])
    if lane.jobs > len(jobs):
        say(f"… and {lane.jobs - len(jobs):,} more; see --limit.")


@app.command()
def hold(name: Name, *, reason: Reason, seconds: Span = None, actor: Actor = ME) -> None:
    """Stop a lane. Jobs are still enqueued, but none is applied until it is resumed, or until --for is over."""
    with services() as (settings, redis):
        Interventions(redis, settings, actor).hold(name, reason, seconds)
        lane = _when_still(LaneBook(redis, Keys(settings.prefix)), name)
    end = f"for {duration(seconds)}" if seconds is not None else f"until `onelane lane resume {name}`"
    say(f"{name} is held {end}. Jobs in it: {lane.jobs:,}.")
    if lane.state == "claimed":
        say("A worker is still at a batch that it began before; the lane stands still when that is over.")


@app.command()
def resume(name: Name) -> None:
    """Let a held or parked lane go on at once."""
    with services() as (settings, redis):
        if not Interventions(redis, settings, ME).resume(name):
            lane = LaneBook(redis, Keys(settings.prefix)).lane(name)
            raise OnelaneError(f"{name} is neither held nor parked: it is {lane.state}.")
    say(f"{name} goes on.")


@app.command("retry-now")
def retry_now(name: Name) -> None:
    """Let a parked lane try its head again now, before its backoff ends."""
    with services() as (settings, redis):
        word = Interventions(redis, settings, ME).retry_now(name)
    if word == "held":
        raise OnelaneError(f"{name} is held; `onelane lane resume {name}` lets it go on.")
    say(f"A worker is at {name} just now." if word == "claimed" else f"{name} tries its head again now.")


@app.command()
def skip(name: Name, *, reason: Reason = "no reason given", actor: Actor = ME) -> None:
    """Make a dead letter of a lane's head, so that the others go on. A held lane stays held."""
    from worker import database  # noqa: PLC0415 - only this needs PostgreSQL
    from worker.skip import Skipper  # noqa: PLC0415 - the same

    with services() as (settings, redis):
        database.require_usable(settings)
        with database.connect(settings, name="onelane-skip") as connection:
            head, end = Skipper(redis, connection, settings, actor).skip(name, reason, SKIP_SECONDS)
        try:
            rest = LaneBook(redis, Keys(settings.prefix)).lane(name)
        except UnknownLane:
            rest = None
    job = f"{head.envelope.kind} {head.envelope.id}"
    if end.repeated:
        raise OnelaneError(f"Nothing was skipped: {job} had ended before ({end.status}), and is off the lane now.")
    if end.status == "cancelled":
        say(f"{job} was cancelled, and has ended so.")
    else:
        say(f"{job} is a dead letter now: see `onelane dead show {head.envelope.id}`.")
    say(_sentence(rest, None, time.time()) if rest is not None else f"{name} is empty.")


def _when_still(book: LaneBook, name: str) -> Lane:
    """The lane once no worker has it any more, or after a while as it is then."""
    deadline = time.monotonic() + STILL_SECONDS
    while (lane := book.lane(name)).state == "claimed" and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return lane


def _sentence(lane: Lane, holder: str | None, now: float) -> str:
    match lane.state:
        case "claimed":
            by = f"by {holder}" if holder is not None else "by somebody who acts by hand, or is gone"
            left = duration(lane.lease_end.timestamp() - now) if lane.lease_end is not None else "?"
            state = f"claimed {by}, with a lease of {left} left"
        case "held":
            state = f"held: {why_held(lane)}. It goes on {goes_on(lane, now)}"
        case "parked" if not lane.attempts:
            state = f"parked: its head rests, and is tried {goes_on(lane, now)}"
        case "parked":
            state = f"parked: its head failed, and is tried again {goes_on(lane, now)}"
        case "unlisted":
            state = f"not listed: it was filled by hand, and `onelane lane retry-now {lane.name}` calls a worker"
        case _:
            state = "ready"
    return f"{lane.name} is {state}. Jobs in it: {lane.jobs:,}."


def _row(job: Mapping[str, Any], cancelled: Mapping[str, Any], now: float) -> tuple[Any, ...]:
    if "id" not in job:
        return job["place"], None, None, None, None, f"{job['bytes']:,} bytes that are no job"
    waits = duration(now - job["enqueued_at"].timestamp())
    payload = "cancelled" if job["id"] in cancelled else job["payload"]
    return job["place"], job["id"], job["kind"], job["actor"], waits, payload

"""`onelane dead replay`: dead letters go back into their lanes."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from psycopg import Connection

from worker.cli.dead_act import DryRun, end, held_lanes, letters, say_held, show_first
from worker.cli.dead_filter import filtered, ledger
from worker.cli.operator import ME, Actor, Reason
from worker.cli.output import Json, complain, print_json, say
from worker.cli.progress import progress
from worker.dead_letters import Change, Filter, Replayed, count, edit, replay_steps
from worker.dead_letters.outlook import outlooks
from worker.errors import OnelaneError
from worker.interrupt import interruptible
from worker.intervention import Interventions
from worker.job import Job, load_kinds
from worker.lane_state import Hold
from worker.redis_client import redis_client
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.dead_letters.drive import Drive

END_SECONDS = 60.0
"""How long `--stop-after-failures` waits for the ends of a step, unless `--wait` says otherwise."""


@filtered(must_say_which=True)
def replay(  # noqa: PLR0913 - each is an option
    found: Filter,
    *,
    dry_run: DryRun = False,
    force: Annotated[bool, typer.Option("--force", help="Even those whose lane has applied newer jobs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let their lanes go on then, if they are held.")] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, metavar="N", help="At most so many a second.")] = None,
    stop_after_failures: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Stop when so many have died again; goes in steps of N.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait so long for their ends, and say them.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--edit", metavar="FIELD=VALUE", help="Mend the payload of one first; or give it as JSON."),
    ] = None,
    actor: Actor = ME,
    reason: Reason = "no reason given",
    as_json: Json = False,
) -> None:
    """Send dead letters back into their lanes, under their own ids, in the order of their enqueue.

    Exit code 1 when one was refused, died again, or has not ended in time.
    """
    from worker.dead_letters.drive import Drive  # noqa: PLC0415 - the other commands of `dead` need not load a worker's relay

    with ledger(checked=True) as (settings, connection), redis_client(settings) as redis:
        load_kinds(settings.task_modules)
        if changes:
            job = _edit(settings, connection, found, changes, actor, reason, force=force, dry_run=dry_run)
            complain(f"{found.ids[0]} {'would be' if dry_run else 'is'} now {job.kind} {job.model_dump_json()}")
        if dry_run:
            if not changes:
                _rehearse(connection, found, actor, force=force, as_json=as_json)
            return
        seconds = wait if wait is not None else END_SECONDS if stop_after_failures else 0
        drive = Drive(settings, connection, redis, rate, stop_after_failures, seconds)
        bar = progress("Replaying", lambda: count(connection, found))
        with interruptible(drive.interrupt), bar as drive.advance:
            drive.run(found, actor=actor, reason=reason, force=force)
        undelivered = drive.undelivered()
        held = held_lanes(settings, connection, redis, drive.result.replayed)
        if resume and not undelivered:
            for lane in held:
                Interventions(redis, settings, actor).resume(lane)
            held = {}
    if as_json:
        why = {lane: hold.why for lane, hold in held.items()}
        more = {"ends": drive.ends, "stopped": drive.stopped, "undelivered": undelivered, "held": why}
        print_json({**asdict(drive.result), **more})
    else:
        _say(drive, undelivered, held)
    end(found, drive.result.replayed, drive.result.refused, failed=bool(drive.failures or drive.stopped))


def _edit(
    settings: Settings,
    connection: Connection,
    found: Filter,
    changes: list[str],
    actor: str,
    reason: str,
    *,
    force: bool,
    dry_run: bool,
) -> Job:
    """Mend one letter, unless its replay would be refused all the same."""
    if len(found.ids) != 1:
        raise typer.BadParameter("--edit mends one dead letter: give its id")
    (job_id,) = found.ids
    with connection.transaction(force_rollback=dry_run):
        job = edit(connection, job_id, Change.read(changes), settings, actor=actor, reason=reason)
        for refusal in Replayed.of(outlooks(connection, [job_id]), force=force).refused.values():
            raise OnelaneError(f"{job_id}: {refusal}")
    return job


def _rehearse(connection: Connection, found: Filter, actor: str, *, force: bool, as_json: bool) -> None:
    plan = Replayed()
    for step in replay_steps(connection, found, actor=actor, force=force, dry_run=True):
        plan.add(step)
    if as_json:
        print_json({**asdict(plan), "dry_run": True})
    else:
        show_first(connection, plan.replayed)
        say(f"{letters(len(plan.replayed))} would be replayed, in this order; nothing was done.")
    end(found, plan.replayed, plan.refused)


def _say(drive: "Drive", undelivered: int, held: dict[str, Hold]) -> None:
    number = len(drive.result.replayed)
    if number:
        say(f"{letters(number)} {'goes back into its lane' if number == 1 else 'go back into their lanes'}.")
    if undelivered:
        say(f"{undelivered:,} wait in the outbox; a worker puts them into their lanes.")
    say_held(held)
    if drive.ends:
        say(", ".join(f"{count:,} {status}" for status, count in sorted(Counter(drive.ends.values()).items())) + ".")
    if drive.stopped is not None:
        complain(f"Stopped: {drive.stopped}. What was not replayed is still dead; run it again to go on.")

"""`onelane dead discard`: dead letters are given up."""

from dataclasses import asdict

from worker.cli.dead_act import DryRun, end, held_lanes, letters, say_held, show_first
from worker.cli.dead_filter import filtered, ledger
from worker.cli.operator import ME, Actor, Reason
from worker.cli.output import Json, print_json, say
from worker.cli.progress import progress
from worker.dead_letters import Filter, count
from worker.dead_letters import discard as give_up
from worker.redis_client import redis_client


@filtered(must_say_which=True)
def discard(
    found: Filter,
    *,
    dry_run: DryRun = False,
    actor: Actor = ME,
    reason: Reason = "no reason given",
    as_json: Json = False,
) -> None:
    """Give dead letters up. They stay in the ledger, and can't be replayed any more.

    Exit code 1 when one was refused.
    """
    with ledger(checked=True) as (settings, connection):
        with progress("Discarding", lambda: count(connection, found)) as advance:
            result = give_up(connection, found, actor=actor, reason=reason, dry_run=dry_run, advance=advance)
        if dry_run and not as_json:
            show_first(connection, result.discarded)
        with redis_client(settings) as redis:
            held = held_lanes(settings, connection, redis, () if dry_run else result.discarded)
    if as_json:
        print_json({**asdict(result), "dry_run": dry_run})
    else:
        what = "would be discarded; nothing was done" if dry_run else "discarded"
        say(f"{letters(len(result.discarded))} {what}.")
        say_held(held)
    end(found, result.discarded, result.refused)

"""`onelane spool`: the jobs that wait on this host because Redis is away."""

import time
from collections import Counter
from typing import Any

import typer

from worker.cli.operator import services
from worker.cli.output import Json, complain, duration, print_json, say
from worker.client import Client
from worker.envelope import described
from worker.settings import Settings
from worker.spool import Spool

app = typer.Typer(help="Look at the jobs that wait on this host for Redis; send them.", no_args_is_help=True)


@app.command()
def status(*, as_json: Json = False) -> None:
    """Say how many jobs wait in this host's spool, since when, and whether lines had to be set aside."""
    spool = Spool(Settings.load().data_dir)
    found = spool.contents()
    oldest: Any = described(b'{"seq":0,' + found.orders[0].body[1:])["enqueued_at"] if found.orders else None
    if as_json:
        facts = {"jobs": len(found.orders), "bytes": spool.size(), "oldest": oldest, "damaged_lines": found.damaged}
        print_json({**facts, "set_aside": found.set_aside})
        return
    if oldest is not None:
        waits = duration(time.time() - oldest.timestamp())
        say(f"Jobs waiting here: {len(found.orders):,}, the oldest for {waits}. `onelane spool flush` sends them.")
    else:
        say("The spool is empty.")
    for number in found.damaged:
        complain(f"Line {number} is damaged; the next flush sets it aside.")
    if found.set_aside:
        complain(f"Lines that can't be queued: {found.set_aside:,}, kept in {spool.bad}.")


@app.command()
def flush(*, as_json: Json = False) -> None:
    """Send what waits in this host's spool, in order. Lines that can't be queued are set aside, and the rest goes on.

    Exit code 1 when lines were set aside, or jobs stay because their lane is full.
    """
    with services() as (settings, redis):
        client = Client(settings, redis)
        before = client.spool.contents()
        words = Counter(client.flush_spool().values())
        after = client.spool.contents()
    sent, known = words["queued"], words["duplicate"] + words["done"]
    set_aside, left = after.set_aside - before.set_aside, len(after.orders)
    if as_json:
        print_json({"sent": sent, "duplicates": known, "set_aside": set_aside, "left": left})
    else:
        say(f"Jobs sent: {sent:,}; known before: {known:,}.")
    if left:
        complain(f"Jobs that stay: {left:,}, since a lane is full (ONELANE_LANE_LIMIT, ONELANE_TOTAL_LIMIT).")
    raise typer.Exit(int(bool(set_aside or left)))

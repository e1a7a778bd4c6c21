"""`onelane dead`: list, show, stats, export and import; replay and discard have files of their own.

All of them take the same filter, and go by the same order.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice

import typer
from psycopg import Connection

from worker.cli.dead_act import COLUMNS, end_of_look, row
from worker.cli.dead_discard import discard
from worker.cli.dead_filter import filtered, ledger
from worker.cli.dead_replay import replay
from worker.cli.dead_show import plain, prospect, show_report
from worker.cli.dead_transfer import export, import_
from worker.cli.output import Json, duration, print_json, say, show_table
from worker.dead_letters import Filter, count, lines, report, stats
from worker.dead_letters.outlook import unmet
from worker.dead_letters.report import NoDeadLetter, Report
from worker.job import load_kinds

LISTED = 20
SHOWN = 5
COUNTED = 10_000
"""How many dead letters `list` counts at most."""

app = typer.Typer(help="Understand, replay or discard dead letters.", no_args_is_help=True)


@app.command("list")
@filtered()
def list_(found: Filter, *, as_json: Json = False) -> None:
    """List dead letters, in the order in which a replay would send them."""
    with ledger() as (_, connection):
        shown = list(islice(lines(connection, found), found.limit or LISTED))
        number = count(connection, found, COUNTED + 1)
        missing = unmet(connection, found)
    if as_json:
        print_json({"letters": [asdict(line) for line in shown], "more": number > len(shown), "missing": missing})
    elif shown:
        show_table(COLUMNS, [row(line) for line in shown])
        if number > len(shown):
            total = f"{number:,}" if number <= COUNTED else f"more than {COUNTED:,}"
            say(f"… {len(shown):,} of {total}: see --limit, or `onelane dead stats`.")
    end_of_look(found, missing, nothing=not shown)


@app.command()
@filtered()
def show(found: Filter, *, as_json: Json = False) -> None:
    """Show all that is known of dead letters: what, who, when, why; the row as it is now; what a replay would do."""
    with ledger() as (settings, connection):
        load_kinds(settings.task_modules)
        only_ids = found == Filter(ids=found.ids, limit=found.limit)
        some = (line.job_id for line in islice(lines(connection, found), found.limit or SHOWN))
        reports, missing = _reports(connection, found.ids if found.ids and only_ids else some)
    told = [(each, prospect(settings, each)) for each in reports]
    if as_json:
        print_json({"letters": [plain(each, would) for each, would in told]})
    for each, would in () if as_json else told:
        show_report(each, would)
    end_of_look(found, missing, nothing=not reports)


def _reports(connection: Connection, ids: Iterable[str]) -> tuple[list[Report], dict[str, str]]:
    """Reports, and for ids of which there is none, why. What was a dead letter once has one too."""
    reports, missing = [], {}
    for job_id in ids:
        try:
            reports.append(report(connection, job_id))
        except NoDeadLetter as error:
            missing[job_id] = str(error)
    return reports, missing


@app.command("stats")
@filtered()
def stats_(found: Filter, *, as_json: Json = False) -> None:
    """Count dead letters by what they died of."""
    with ledger() as (_, connection):
        groups = stats(connection, found)
        on_their_way = count(connection, Filter(replaying=True))
    total = sum(group.jobs for group in groups)
    if as_json:
        print_json({"total": total, "groups": [asdict(group) for group in groups], "on_their_way_back": on_their_way})
    elif groups:
        now = time.time()
        show_table(
            ("jobs", "lanes", "kind", "code", "error", "sqlstate", "first", "last", "for example"),
            [
                (
                    *(g.jobs, g.lanes, g.kind, g.code, g.error_class, g.sqlstate),
                    *(f"{duration(now - moment.timestamp())} ago" for moment in (g.first, g.last)),
                    g.example,
                )
                for g in groups
            ],
        )
        say(f"{total:,} in all.")
    if on_their_way and not as_json:
        say(f"{on_their_way:,} are on their way back: see --replaying.")
    end_of_look(found, {}, nothing=not groups)


app.command()(replay)
app.command()(discard)
app.command()(export)
app.command("import")(import_)

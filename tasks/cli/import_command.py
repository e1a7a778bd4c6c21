"""`onelane import DIR`: the bot's JSON files become jobs."""

from functools import partial
from pathlib import Path
from typing import Any

import typer
from psycopg import Connection

from tasks.import_plan import Plan, plan
from tasks.importer import Importer, Stalled, sprints_of
from tasks.settings import triage_settings
from worker import Client
from worker.cli.output import complain, print_json, say, show_table
from worker.cli.progress import progress
from worker.database import connect
from worker.database import require_usable as require_usable_database
from worker.redis_client import require_usable as require_usable_redis

ENDS = ("applied", "unchanged", "rejected", "dead", "cancelled")


def run(directory: Path, *, actor: str, dry_run: bool, as_json: bool) -> None:
    """Import the files of a directory, or say what would be imported."""
    client = Client.from_env()
    require_usable_database(client.settings)
    require_usable_redis(client.redis)
    with connect(client.settings, name="onelane-import") as database:
        made = plan(directory, staging=triage_settings().staging, sprints=sprints_of(database), actor=actor)
        figures = _rehearse(client, database, made, actor) if dry_run else _import(client, database, made, actor)
    if as_json:
        print_json({"dry_run": dry_run, "rows": made.rows, **figures, "problems": made.problems, "notes": made.notes})
    else:
        _tell(made, figures)
    raise typer.Exit(int(bool(made.problems)))


def _rehearse(client: Client, database: Connection, made: Plan, actor: str) -> dict[str, int]:
    jobs = made.jobs
    known = Importer(client, database, actor).known([planned.id for planned in jobs])
    return {"jobs": len(jobs), "duplicates": len(known)}


def _import(client: Client, database: Connection, made: Plan, actor: str) -> dict[str, int]:
    with progress("Importing", lambda: len(made.jobs)) as advance:
        importer = Importer(client, database, actor, partial(advance, 1))
        try:
            importer.run(made)
        except Stalled as stalled:
            made.problems.append(str(stalled))
    return {**dict(importer.handed_in), **{end: importer.ends[end] for end in ENDS}}


def _tell(made: Plan, figures: dict[str, Any]) -> None:
    show_table(("file", "rows"), list(made.rows.items()))
    say(", ".join(f"{number} {what}" for what, number in figures.items() if number) or "There is nothing to import.")
    for sentence in made.notes:
        say(sentence)
    for sentence in made.problems:
        complain(sentence)

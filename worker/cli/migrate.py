"""`onelane migrate`: check, up, down, status, verify, lockdown.

Exit codes: 0 all is well; 1 something was found (check) or the final catalog does not hold (up, verify); 2 it could
not be done, with a sentence that says why, and nothing was changed but whole steps.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker import migrate as migrations
from worker.cli.output import Json, print_json, say, show_table
from worker.settings import Settings

app = typer.Typer(help="Make, adopt, check and undo the database schema.", no_args_is_help=True)

PASSWORD_VARIABLE = "ONELANE_BOT_PASSWORD"  # noqa: S105 - the variable's name


@app.command()
def check(*, as_json: Json = False) -> None:
    """Say what is there and what stands in the way; change nothing. Exit code 1 when anything stands in the way."""
    outlooks = migrations.check(Settings.load().require_database())
    if as_json:
        print_json({"databases": [asdict(outlook) for outlook in outlooks]})
    elif not outlooks:
        say("No module in ONELANE_TASKS has tables to adopt.")
    else:
        for outlook in outlooks:
            _show_outlook(outlook)
    raise typer.Exit(int(any(finding.blocks for outlook in outlooks for finding in outlook.findings)))


@app.command()
def up(
    *,
    backup: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the backup goes; default: backups in ONELANE_DATA_DIR."),
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup first.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show each step, its SQL and its rows; keep nothing. Locks while it runs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to the final shape: backup, all pending steps, verification."""
    if backup and no_backup:
        raise typer.BadParameter("--backup and --no-backup exclude each other.")
    settings = Settings.load()
    url = settings.require_database()
    if dry_run:
        _rehearse(url, as_json=as_json)
        return
    pending = migrations.pending(url)
    saved = migrations.back_up(url, backup or settings.data_dir / "backups") if pending and not no_backup else None
    if saved and not as_json:
        say(f"Backup: {saved.file} ({saved.size:,} bytes, sha256 {saved.sha256}), read back in full.")
        say(f"To restore it: {saved.restore}")
    applied = migrations.migrate(url, _silent if as_json else _show)
    archived, departures = migrations.archived(url), migrations.verify(url)
    if as_json:
        print_json(
            {
                "applied": applied,
                "backup": saved and asdict(saved),
                "archived": [asdict(entry) for entry in archived],
                "departures": departures,
            }
        )
    else:
        if applied:
            _show_archived(archived)
        else:
            say("Nothing to do: all steps are applied.")
        _show_departures(departures)
    raise typer.Exit(int(bool(departures)))


@app.command()
def down(
    step: Annotated[str | None, typer.Argument(help="Go back to before this step; default: the newest alone.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Go back to the shape that was found.")] = False,
    archive_conflicts: Annotated[
        bool, typer.Option("--archive-conflicts", help="Move rows that stand in the way to onelane.archive.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Undo the newest step, all to STEP, or --all. Archived rows come back; stop the workers first."""
    if step and everything:
        raise typer.BadParameter("STEP and --all exclude each other.")
    url = Settings.load().require_database()
    if everything:
        step = next((entry.step for entry in migrations.status(url) if entry.applied_at), None)
    undone = migrations.down(url, _silent if as_json else _show, to=step, archive_conflicts=archive_conflicts)
    kept = migrations.kept_schemas(url)
    if as_json:
        print_json({"undone": undone, "kept": kept})
        return
    if not undone:
        say("Nothing to undo: no step is applied.")
    if kept:
        say(f"Jobs and archived rows of earlier times are kept in the schema {', '.join(kept)}.")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Show each step and when it was applied."""
    entries = migrations.status(Settings.load().require_database())
    if as_json:
        print_json({"steps": [asdict(entry) for entry in entries]})
    else:
        show_table(("step", "applied"), [(entry.step, entry.applied_at or "pending") for entry in entries])


@app.command()
def verify(*, as_json: Json = False) -> None:
    """Prove that the final catalog and the data rules hold. Exit code 1 when they don't."""
    departures = migrations.verify(Settings.load().require_database())
    if as_json:
        print_json({"departures": departures})
    else:
        _show_departures(departures)
    raise typer.Exit(int(bool(departures)))


@app.command()
def lockdown(
    *,
    role: Annotated[str, typer.Option(help="The PostgreSQL role for the bot.")] = "onelane_bot",
    undo: Annotated[bool, typer.Option("--undo", help="Take the role away again.")] = False,
) -> None:
    """Make a role for the bot that reads everything and writes none of the workers' tables."""
    url = Settings.load().require_database()
    if undo:
        migrations.unlock(url, role)
        say(f"The role {role} is gone.")
        return
    password = os.environ.get(PASSWORD_VARIABLE, "")
    migrations.lockdown(url, role, password=password)
    say(f"The role {role} reads everything and writes none of the workers' tables.")
    if not password:
        say(f"It got no password: set {PASSWORD_VARIABLE} and run this again, or use ALTER ROLE.")
    say("Put it into the bot's DATABASE_URL and restart the bot.")


def _rehearse(url: str, *, as_json: bool) -> None:
    rehearsal = migrations.rehearse(url)
    if as_json:
        print_json(asdict(rehearsal))
        return
    for rehearsed in rehearsal.steps:
        say(f"\n-- {rehearsed.step}")
        for executed in rehearsed.executed:
            rows = f"  -- {executed.rows:,} row(s)" if executed.rows >= 0 else ""
            say(f"{executed.sql.removesuffix(';')};{rows}")
    say("")
    _show_archived(rehearsal.archived)
    say(f"{len(rehearsal.steps)} step(s) tried and rolled back; nothing was kept.")


def _show_outlook(outlook: migrations.Outlook) -> None:
    say(f"Nearest shape: {outlook.shape}" if outlook.differences else f"Shape: {outlook.shape}")
    for difference in outlook.differences:
        say(f"  {difference}")
    if not outlook.findings:
        say("Nothing stands in the way.")
        return
    show_table(
        ("found", "rows", "what `up` does", "for example"),
        [(found.what, found.count, found.remedy, ", ".join(found.examples)) for found in outlook.findings],
    )


def _show_archived(entries: Sequence[migrations.Archived]) -> None:
    if entries:
        show_table(
            ("table", "what was found", "rows", "action", "ids"),
            [
                (e.table, e.reason, e.count, e.action, ", ".join(e.ids) + (" …" if e.count > len(e.ids) else ""))
                for e in entries
            ],
            title="In onelane.archive, each row as it was:",
        )


def _show_departures(departures: list[str]) -> None:
    for sentence in departures:
        say(f"- {sentence}")
    if not departures:
        say("Verified: the final catalog and the data rules hold.")


def _show(done: migrations.Done) -> None:
    say(f"[{done.number}/{done.total}] {done.step}  {done.seconds:.2f} s")


def _silent(_: migrations.Done) -> None:
    pass

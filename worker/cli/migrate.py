"""`onelane migrate`: check, up, down, status, verify, lockdown.

Exit codes: 0 all is well; 1 something was found (check) or the final catalog does not hold (up, verify); 2 it could
not be done, with a sentence that says why (ConfigurationError, see worker/cli/__init__.py).
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker import migrate as migrations
from worker.settings import Settings

app = typer.Typer(help="Make, adopt, check and undo the database schema.", no_args_is_help=True)
console = Console()

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]
PASSWORD_VARIABLE = "ONELANE_BOT_PASSWORD"  # noqa: S105 - the variable's name


@app.command()
def check(*, as_json: Json = False) -> None:
    """Say what is there and what stands in the way; change nothing."""
    outlooks = migrations.check(Settings.load().require_database())
    if as_json:
        _print_json({"databases": [_plain(outlook) for outlook in outlooks]})
    else:
        for outlook in outlooks:
            _show_outlook(outlook)
    raise typer.Exit(int(any(finding.blocks for outlook in outlooks for finding in outlook.findings)))


@app.command()
def up(
    *,
    backup: Annotated[
        Path | None, typer.Option(help="Where the backup goes; default: backups in ONELANE_DATA_DIR.")
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show each step and its SQL; keep nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the database to the final shape: backup, all pending steps, verification."""
    settings = Settings.load()
    url = settings.require_database()
    if dry_run:
        _rehearse(url, as_json=as_json)
        return
    pending = migrations.pending(url)
    saved = migrations.back_up(url, backup or settings.data_dir / "backups") if pending and not no_backup else None
    if saved and not as_json:
        console.print(f"Backup: {saved.file} ({saved.size:,} bytes, sha256 {saved.sha256[:16]}…), read back in full.")
        console.print(f"  to restore: {saved.restore}", markup=False, highlight=False, soft_wrap=True)
    applied = migrations.migrate(url, _silent if as_json else _show)
    departures = migrations.verify(url)
    if as_json:
        kept = saved and {"file": str(saved.file), "sha256": saved.sha256, "restore": saved.restore}
        archived = [asdict(entry) for entry in migrations.archived(url)]
        _print_json({"applied": applied, "backup": kept, "archived": archived, "departures": departures})
    else:
        if applied:
            _show_archived(migrations.archived(url))
        else:
            console.print("Nothing to do: all steps are applied.")
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
    """Undo the newest step, all to STEP, or --all."""
    url = Settings.load().require_database()
    if everything:
        step = next((entry.step for entry in migrations.status(url) if entry.applied_at), None)
    undone = migrations.down(url, _silent if as_json else _show, to=step, archive_conflicts=archive_conflicts)
    if as_json:
        _print_json({"undone": undone})
    elif not undone:
        console.print("Nothing to undo: no step is applied.")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Show each step and when it was applied."""
    entries = migrations.status(Settings.load().require_database())
    if as_json:
        steps = [{"step": e.step, "applied_at": e.applied_at and e.applied_at.isoformat()} for e in entries]
        _print_json({"steps": steps})
        return
    table = Table("step", "applied")
    for entry in entries:
        table.add_row(entry.step, f"{entry.applied_at:%Y-%m-%d %H:%M:%S %Z}" if entry.applied_at else "pending")
    console.print(table)


@app.command()
def verify(*, as_json: Json = False) -> None:
    """Prove that the final catalog and the data rules hold."""
    departures = migrations.verify(Settings.load().require_database())
    if as_json:
        _print_json({"departures": departures})
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
        console.print(f"The role {escape(role)} is gone.")
        return
    password = os.environ.get(PASSWORD_VARIABLE, "")
    migrations.lockdown(url, role, password=password)
    console.print(f"The role {escape(role)} reads everything and writes none of the workers' tables.")
    if not password:
        console.print(f"It has no new password: set {PASSWORD_VARIABLE} and run this again, or use ALTER ROLE.")
    console.print("Put it into the bot's DATABASE_URL and restart the bot.")


def _rehearse(url: str, *, as_json: bool) -> None:
    rehearsals = migrations.rehearse(url)
    if as_json:
        steps = [
            {"step": r.step, "statements": [{"sql": e.sql, "rows": e.rows} for e in r.executed]} for r in rehearsals
        ]
        _print_json({"steps": steps})
        return
    for rehearsal in rehearsals:
        console.rule(rehearsal.step, align="left")
        for executed in rehearsal.executed:
            rows = f"-- {executed.rows} row(s)\n" if executed.rows >= 0 else ""
            console.print(f"{rows}{executed.sql};", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(rehearsals)} step(s) tried and rolled back; nothing was kept.")


def _show_outlook(outlook: migrations.Outlook) -> None:
    console.print(f"Shape: {outlook.shape}" + ("" if outlook.differences else ", exactly"))
    for difference in outlook.differences:
        console.print(f"  {difference}", markup=False, highlight=False)
    if not outlook.findings:
        console.print("Nothing stands in the way.")
        return
    table = Table("found", "rows", "what `up` does", "for example")
    for finding in outlook.findings:
        table.add_row(escape(finding.what), str(finding.count), finding.remedy, escape(", ".join(finding.examples)))
    console.print(table)


def _show_archived(entries: list[migrations.Archived]) -> None:
    if not entries:
        return
    table = Table("table", "reason", "rows", "kept in onelane.archive as", "ids", title="Archived")
    for entry in entries:
        ids = ", ".join(entry.ids) + (" …" if entry.count > len(entry.ids) else "")
        table.add_row(entry.table, escape(entry.reason), str(entry.count), entry.action, ids)
    console.print(table)


def _show_departures(departures: list[str]) -> None:
    for sentence in departures:
        console.print(f"- {sentence}", markup=False, highlight=False, soft_wrap=True)
    if not departures:
        console.print("Verified: the final catalog and the data rules hold.")


def _plain(outlook: migrations.Outlook) -> dict[str, Any]:
    findings = [
        {"what": f.what, "count": f.count, "remedy": f.remedy, "blocks": f.blocks, "examples": list(f.examples)}
        for f in outlook.findings
    ]
    return {"shape": outlook.shape, "differences": list(outlook.differences), "findings": findings}


def _print_json(answer: dict[str, Any]) -> None:
    # Not rich's print_json: it folds lines at the width of the terminal.
    typer.echo(json.dumps(answer, indent=2))


def _show(done: migrations.Done) -> None:
    console.print(f"[{done.number}/{done.total}] {done.step}  {done.seconds:.2f} s", markup=False, highlight=False)


def _silent(_: migrations.Done) -> None:
    pass

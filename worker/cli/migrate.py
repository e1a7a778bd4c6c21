"""`onelane migrate`: up, down, status."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from worker import migrate as migrations
from worker.settings import Settings

app = typer.Typer(help="Make, adopt, check and undo the database schema.", no_args_is_help=True)
console = Console()

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


@app.command()
def up(*, as_json: Json = False) -> None:
    """Apply all pending steps."""
    url = Settings.load().require_database()
    applied = migrations.migrate(url, _silent if as_json else _show)
    if as_json:
        console.print_json(json.dumps({"applied": applied}))
    elif not applied:
        console.print("Nothing to do: all steps are applied.")


@app.command()
def down(
    step: Annotated[
        str | None, typer.Argument(help="Go back to before this step; default: the newest alone.")
    ] = None,
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
        applied = [entry.step for entry in migrations.status(url) if entry.applied_at]
        step = applied[0] if applied else None
    undone = migrations.down(url, _silent if as_json else _show, to=step, archive_conflicts=archive_conflicts)
    if as_json:
        console.print_json(json.dumps({"undone": undone}))
    elif not undone:
        console.print("Nothing to undo: no step is applied.")


@app.command()
def status(*, as_json: Json = False) -> None:
    """Show each step and when it was applied."""
    entries = migrations.status(Settings.load().require_database())
    if as_json:
        steps = [{"step": e.step, "applied_at": e.applied_at and e.applied_at.isoformat()} for e in entries]
        console.print_json(json.dumps({"steps": steps}))
        return
    table = Table("step", "applied")
    for entry in entries:
        table.add_row(entry.step, f"{entry.applied_at:%Y-%m-%d %H:%M:%S %Z}" if entry.applied_at else "pending")
    console.print(table)


def _show(done: migrations.Done) -> None:
    console.print(f"[{done.number}/{done.total}] {done.step}  {done.seconds:.2f} s", markup=False, highlight=False)


def _silent(_: migrations.Done) -> None:
    pass

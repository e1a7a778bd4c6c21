"""The commands that the domain adds to `onelane`. What they need is loaded when they are called, as the overview
imports this module.
"""

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.output import Json

mirror = typer.Typer(
    help="Write, check and show the bot's JSON files.", no_args_is_help=True, pretty_exceptions_enable=False
)


@mirror.command()
def write(*, as_json: Json = False) -> None:
    """Write all files now, straight from the database; no worker is needed."""
    from tasks.cli.mirror_commands import write_all  # noqa: PLC0415 - see the module

    write_all(as_json=as_json)


@mirror.command()
def verify(*, as_json: Json = False) -> None:
    """Compare the files with the database, row by row. Exit code 1 when they differ.

    A change may be on its way: differences that are gone within two seconds don't count.
    """
    from tasks.cli.mirror_commands import verify_all  # noqa: PLC0415 - see the module

    verify_all(as_json=as_json)


@mirror.command()
def status(*, as_json: Json = False) -> None:
    """Say how old the files are and what they hold. Works while the database is away.

    Exit code 1 when a file is missing or can't be read.
    """
    from tasks.cli.mirror_commands import show_status  # noqa: PLC0415 - see the module

    show_status(as_json=as_json)


def import_files(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Where the bot's JSON files are."),
    ],
    *,
    actor: Annotated[str, typer.Option(help="Who imports: a Slack id, or a word.")] = "import",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be imported.")] = False,
    as_json: Json = False,
) -> None:
    """Import the bot's JSON files as jobs.

    People first, then sprints, then overrides, then who is on duty; each waits until the workers have done what is
    before it. It may be run again: a row that was imported is not imported twice. Exit code 1 when something was left
    out; each such row is named.
    """
    from tasks.cli.import_command import run  # noqa: PLC0415 - see the module

    run(directory, actor=actor, dry_run=dry_run, as_json=as_json)

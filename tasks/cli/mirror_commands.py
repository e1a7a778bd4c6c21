"""`onelane mirror`: write the bot's JSON files, compare them with the database, say how they are."""

import time
from dataclasses import asdict
from functools import partial

import typer
from psycopg import Connection

from tasks.bot_files import FILES, BadFile, File
from tasks.mirror import Mirror
from tasks.mirror_check import differences
from tasks.mirror_source import current
from tasks.settings import triage_settings
from worker.cli.output import duration, print_json, say, show_table
from worker.database import connect, require_usable
from worker.settings import Settings

PATIENCE_SECONDS = 2.0
"""How long a change may be on its way to the mirror before it counts as a difference."""
LOOK_SECONDS = 0.1


def write_all(*, as_json: bool) -> None:
    """Write all files. Raises ConfigurationError, BadFile."""
    mirror = Mirror.of(triage_settings())
    with _database() as database:
        rows = {mirror.name(file): mirror.write(file, partial(current, database, file)) for file in FILES}
    if as_json:
        print_json({"written": rows})
        return
    show_table(("file", "rows"), list(rows.items()))
    say(f"Written into {mirror.directory}.")


def verify_all(*, as_json: bool) -> None:
    """Compare all files with the database."""
    mirror = Mirror.of(triage_settings())
    with _database() as database:
        found = {mirror.name(file): each for file, each in _differences(mirror, database).items()}
    if as_json:
        print_json({"differences": found})
    else:
        for sentence in (sentence for each in found.values() for sentence in each):
            say(sentence)
        number = sum(map(len, found.values()))
        many = "1 difference" if number == 1 else f"{number:,} differences"
        say(
            "The files say what the database holds."
            if number == 0
            else f"{many}; `onelane mirror write` writes the files anew."
        )
    raise typer.Exit(int(any(found.values())))


def show_status(*, as_json: bool) -> None:
    """Say how the files are."""
    mirror = Mirror.of(triage_settings())
    conditions = mirror.conditions()
    if as_json:
        print_json({"directory": str(mirror.directory), "files": [asdict(condition) for condition in conditions]})
    else:
        say(str(mirror.directory))
        show_table(
            ("file", "age", "written", "rows", "problem"),
            [
                (
                    condition.file,
                    None if condition.age_seconds is None else duration(condition.age_seconds),
                    condition.written,
                    condition.rows,
                    condition.problem,
                )
                for condition in conditions
            ],
        )
    raise typer.Exit(int(any(condition.problem is not None for condition in conditions)))


def _database() -> Connection:
    settings = Settings.load()
    require_usable(settings)
    return connect(settings, name="onelane-mirror")


def _differences(mirror: Mirror, database: Connection) -> dict[File, list[str]]:
    """All files are looked at once, and those that differ again and again: each has the whole patience."""
    found = {file: _differences_now(mirror, database, file) for file in FILES}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(found.values()) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        found |= {file: _differences_now(mirror, database, file) for file, each in found.items() if each}
    return found


def _differences_now(mirror: Mirror, database: Connection, file: File) -> list[str]:
    name = mirror.name(file)
    try:
        return differences(file, name, mirror.read(file), current(database, file))
    except FileNotFoundError:
        return [f"{name} is not there."]
    except BadFile as error:
        return [str(error)]

"""What commands write: tables and sentences for people, JSON for programs, sentences about failures on stderr.

Colours and widths are a terminal's; into a pipe go plain lines that are not folded. Text that comes from jobs never
reaches a terminal as markup or control codes.
"""

import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]

PIPE_WIDTH = 240

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a disk says that takes no more."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def print_json(answer: Any) -> None:
    """One JSON document, in ASCII; times become ISO 8601."""
    typer.echo(json.dumps(answer, indent=2, default=_plain))


def say(sentence: str) -> None:
    """A sentence for the person at the terminal, as it stands."""
    console.print(_visible(sentence), soft_wrap=True)


def complain(sentence: str) -> None:
    """A sentence about what went wrong, on stderr."""
    typer.echo(_printable(sentence), err=True)


def drop_output() -> None:
    """Drop what Python still holds of an answer that can't be written, lest it try once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table; an absent value is a dash, numbers stand right."""
    rows = list(rows)
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        values = [row[number] for row in rows if row[number] is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_visible, row))
    _print(table)


def show_fields(fields: Mapping[str, Any]) -> None:
    """One thing's fields, a line each; absent ones are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None:
            table.add_row(name, _visible(value))
    _print(table)


def duration(seconds: float) -> str:
    """A time span for people: `0.3 s`, `12 s`, `5 min`, `3 h`, `2 d`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _print(table: Table) -> None:
    """Print a table; into a pipe without the blanks that fill its last column."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _visible(value: Any) -> Text:
    match value:
        case None:
            return Text("–", style="dim")
        case datetime():
            return Text(f"{value:%Y-%m-%d %H:%M:%S} {value:%Z}".rstrip())
        case dict() | list():
            return Text(json.dumps(value, ensure_ascii=False, default=_plain))
        case int() if not isinstance(value, bool):
            return Text(f"{value:,}")
        case _:
            return Text(_printable(str(value)))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)

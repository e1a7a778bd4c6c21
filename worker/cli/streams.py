"""Files that a command reads or writes; `-` is standard input or output."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer


@contextmanager
def read_from(file: Path) -> Iterator[IO[bytes]]:
    """Its bytes. Raises typer.BadParameter when it can't be read."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read: {error.strerror}") from None
    with opened:
        yield opened


@contextmanager
def write_to(file: Path) -> Iterator[IO[str]]:
    """A stream into it; all is written when the block has ended. Raises typer.BadParameter when it can't be opened."""
    if str(file) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        opened = file.open("w", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be written: {error.strerror}") from None
    with opened:
        yield opened


def size(file: IO[bytes]) -> int | None:
    """The size of a file; None when it is a pipe or a terminal."""
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None

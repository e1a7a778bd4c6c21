"""A bar for what takes long: on stderr where that is a terminal, and gone when it is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

from rich.console import Console
from rich.progress import Progress

Advance: TypeAlias = Callable[[int], object]
"""To be called with how much more is done."""


@contextmanager
def progress(doing: str, total: Callable[[], int | None], *, hidden: bool = False) -> Iterator[Advance]:
    """A bar until the block ends; how much there is to do is asked only where somebody sees it (None: nobody knows).

    `hidden` is for who writes to the terminal meanwhile.
    """
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        yield partial(shown.advance, shown.add_task(doing, total=total()))

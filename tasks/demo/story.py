"""The story as it is told: lines for everybody, and a bar for whoever sits at a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table


class Story:
    """Tells what happens while it happens. Into a pipe go plain lines, without the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar = self._progress.add_task("", total=None, count="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def chapter(self, title: str) -> None:
        """Something new begins."""
        self._console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)

    def tell(self, sentence: str) -> None:
        """Something has happened."""
        self._console.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)

    def doing(self, what: str) -> None:
        """Something is being done that takes a moment."""
        self._progress.reset(self._bar, total=None, description=f"{what} …", count="")

    def progress(self, what: str, done: int, total: int) -> None:
        """How far the present part is."""
        self._progress.update(self._bar, description=what, completed=done, total=total, count=f"{done:,} of {total:,}")

    def end(self, table: Table | None) -> None:
        """Nothing moves any more; what it all comes to."""
        self._progress.stop()
        if table is not None:
            self._console.print()
            self._console.print(table)
            self._console.print()

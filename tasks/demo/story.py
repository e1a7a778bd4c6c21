"""The story as it is told: lines for everybody, and a bar for whoever sits at a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table


class Story:
    """Tells what happens while it happens. Into a pipe go plain lines, without the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def chapter(self, title: str) -> None:
        """Something new begins."""
        self._clear()
        self._console.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)

    def show(self, table: Table) -> None:
        """What it all comes to."""
        self._console.print()
        self._console.print(table)
        self._console.print()

    def tell(self, sentence: str) -> None:
        """Something has happened."""
        self._console.print(f"  {sentence}", highlight=False, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far the present part is."""
        if self._bar is None:
            self._bar = self._progress.add_task(what, total=total)
        self._progress.update(self._bar, description=what, completed=done, total=total)

    def _clear(self) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None

"""A migration step: a pair of plain SQL files, or a Python class where the way depends on what is found.

`NNNN_title.sql` applies a step, `NNNN_title.rollback.sql` undoes it; `NNNN_title.lost.sql`, if there is one, is a query
for sentences on what undoing it would lose: then `down` refuses unless the operator insists, and the rollback keeps it
somewhere all the same. Steps run in the order of their names. A file must be able to run in a transaction. What can't
(an index built without blocking writers) goes into `prepare` of a Python step: it runs before the step's transaction,
may run again, and the step holds true without it.
"""

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from importlib.resources.abc import Traversable
from itertools import pairwise
from typing import Any

import psycopg

from worker.errors import ConfigurationError
from worker.migrate.surgery import Surgery

NAME = re.compile(r"\d{4}[a-z]?_[a-z0-9_]+")
ROLLBACK = ".rollback.sql"
LOST = ".lost.sql"


class Step(ABC):
    """One step: applied and marked in one transaction."""

    name: str
    revision: int = 1
    """Of a Python step; to be raised when it would leave another catalog than before."""

    @abstractmethod
    def apply(self, surgery: Surgery) -> None:
        """Make the change, inside the step's transaction."""

    def revert(self, surgery: Surgery, *, archive_conflicts: bool) -> None:
        """Undo it, inside one transaction. Raises ConfigurationError when that would lose data."""
        surgery.undo(archive_conflicts=archive_conflicts)

    def losses(self, surgery: Surgery) -> list[str]:
        """What undoing it would lose, in words. Changes nothing."""
        return surgery.losses()

    def prepare(self, connection: psycopg.Connection[Any]) -> None:  # noqa: B027 - most need nothing ahead
        """Do ahead, outside any transaction (`connection` is in autocommit), what would lock too long inside one."""

    @cached_property
    def checksum(self) -> str:
        """Of what the step does: an applied step must never change."""
        return hashlib.sha256(f"{self.name} {self.revision}".encode()).hexdigest()


class SqlStep(Step):
    """A step of SQL files."""

    def __init__(self, name: str, sql: str, rollback: str, lost: str | None = None) -> None:
        self.name = name
        self._sql = sql
        self._rollback = rollback
        self._lost = lost

    def apply(self, surgery: Surgery) -> None:
        """Run the file."""
        surgery.execute(self._sql)

    def revert(self, surgery: Surgery, *, archive_conflicts: bool) -> None:  # noqa: ARG002 - the file keeps all
        """Run the rollback file."""
        surgery.execute(self._rollback)

    def losses(self, surgery: Surgery) -> list[str]:
        """Ask the file for it."""
        return [] if self._lost is None else [sentence for (sentence,) in surgery.execute(self._lost)]

    @cached_property
    def checksum(self) -> str:
        """Of the SQL file."""
        return hashlib.sha256(self._sql.encode()).hexdigest()


def sql_steps(folder: Traversable) -> list[Step]:
    """The steps of a folder. Raises ConfigurationError for a bad name or a missing rollback."""
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".sql")}
    steps: list[Step] = []
    for file in sorted(name for name in files if not name.endswith((ROLLBACK, LOST))):
        name = file.removesuffix(".sql")
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"{file}: a step is named NNNN_title.sql, in lower case.")
        if (rollback := files.get(name + ROLLBACK)) is None:
            raise ConfigurationError(f"{file}: its {name}{ROLLBACK} is missing.")
        lost = files.get(name + LOST)
        texts = [found.read_text("utf-8") if found else None for found in (files[file], rollback, lost)]
        steps.append(SqlStep(name, texts[0] or "", texts[1] or "", texts[2]))
    return steps


def in_order(steps: Iterable[Step]) -> list[Step]:
    """The steps by name. Raises ConfigurationError when two share one."""
    ordered = sorted(steps, key=lambda step: step.name)
    for one, other in pairwise(ordered):
        if one.name == other.name:
            raise ConfigurationError(f"Two migration steps are named {one.name}.")
    return ordered

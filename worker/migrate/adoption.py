"""How a domain that adopts an existing database plugs into `onelane migrate`.

The engine knows no table of the domain. For each module that `ONELANE_TASKS` names it looks for a submodule `adopt`
(`tasks` → `tasks.adopt`) with an `ADOPTION` of the type below. A module without one just has no tables to adopt.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg

from worker.job import load_kinds
from worker.migrate.step import Step


@dataclass(frozen=True)
class Finding:
    """Something in the database that a person should know before or after a migration."""

    what: str
    """What was found, in words."""
    count: int
    remedy: str
    """What `up` does about it."""
    blocks: bool = True
    """Whether it stands in the way of the final catalog; otherwise it is left as it is."""
    examples: Sequence[str] = ()


@dataclass(frozen=True)
class Outlook:
    """What is there: the shape by name, how it differs from that shape, and what stands in the way."""

    shape: str
    differences: Sequence[str] = ()
    findings: Sequence[Finding] = field(default_factory=tuple)


class Adoption(Protocol):
    """A domain's part in the migration of a database that others made."""

    @property
    def tables(self) -> Sequence[str]:
        """The qualified tables that it changes: what a backup must hold."""

    def steps(self) -> Sequence[Step]:
        """Its Python steps."""

    def refuse(self, connection: psycopg.Connection[Any]) -> None:
        """Raise ConfigurationError when this is not a database to adopt. Changes nothing."""

    def check(self, connection: psycopg.Connection[Any]) -> Outlook:
        """What is there and what stands in the way. Changes nothing."""

    def verify(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Each departure from the final catalog and its data rules, as a sentence; empty when all is well."""

    def lockdown(self, connection: psycopg.Connection[Any], role: str, password: str) -> None:
        """Make a role that may read everything and write nothing that the workers write."""

    def unlock(self, connection: psycopg.Connection[Any], role: str) -> None:
        """Take that role away again."""


def adoptions(modules: Sequence[str]) -> list[Adoption]:
    """The adoptions of the task modules that have one.

    Raises ConfigurationError that names a module that can't be imported.
    """
    load_kinds(modules)
    names = [f"{module}.adopt" for module in modules if hasattr(sys.modules[module], "__path__")]
    return [importlib.import_module(name).ADOPTION for name in names if importlib.util.find_spec(name) is not None]

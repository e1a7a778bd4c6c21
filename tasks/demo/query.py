"""The demo's SQL: one file for each statement in `sql/`, read once, called by name."""

from functools import cache
from importlib import resources
from typing import LiteralString


@cache
def query(name: str) -> LiteralString:
    """The statement in `sql/<name>.sql`."""
    return resources.files("tasks.demo").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")

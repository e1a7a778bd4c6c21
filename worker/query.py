"""The engine's SQL: one file for each statement in `sql/`, read once, called by name."""

from functools import cache
from importlib import resources
from typing import LiteralString, cast


@cache
def query(name: str) -> LiteralString:
    """The statement in `sql/<name>.sql`."""
    text = resources.files("worker").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return cast("LiteralString", text)

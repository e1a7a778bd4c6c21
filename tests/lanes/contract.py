"""A script's header as data: what it is called with and what it answers, as the tests read it."""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis import Redis

from worker.lane import Keys
from worker.script import run

FOLDER = resources.files("worker").joinpath("lua")


@dataclass(frozen=True)
class Contract:
    """Names of keys and arguments in order; `tail` are the arguments that come once for each job (or effect, …)."""

    name: str
    includes: tuple[str, ...]
    keys: tuple[str, ...]
    argv: tuple[str, ...]
    tail: tuple[str, ...]
    returns: str
    header: str
    body: str

    def call(self, redis: Redis, keys: Keys, each: list[tuple[Any, ...]] | None = None, **values: Any) -> Any:
        """Call the script with its arguments by the names in its header; `each` are the arguments of the tail.

        `of` gives the lane, drain or stream whose keys the header means.
        """
        of = values.pop("of", {})
        assert set(values) == set(self.argv), f"{self.name} takes {self.argv}"
        args = [values[name] for name in self.argv]
        for part in each or []:
            assert len(part) == len(self.tail), f"{self.name} takes {self.tail} for each"
            args += part
        return run(redis, keys, self.name, *args, **of)


def contract(name: str) -> Contract:
    """The contract of a script."""
    text = FOLDER.joinpath(f"{name}.lua").read_text(encoding="utf-8")
    lines = text.splitlines()
    length = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    header = "\n".join(lines[:length])
    fixed, _, each = _entry(header, "ARGV").partition("for each")
    return Contract(
        name,
        tuple(_entry(header, "include").split()),
        tuple(_entry(header, "KEYS").split()),
        tuple(fixed.removesuffix("then ").replace(",", " ").split()),
        tuple(each.rpartition(":")[2].split()),
        _entry(header, "Returns"),
        header,
        "\n".join(lines[length:]),
    )


def names() -> list[str]:
    """All scripts."""
    return sorted(file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.name.endswith(".lua"))


def pieces() -> list[str]:
    """All shared pieces."""
    return sorted(file.name.removesuffix(".lua") for file in FOLDER.joinpath("include").iterdir())


def piece(name: str) -> str:
    """The text of a shared piece."""
    return FOLDER.joinpath("include", f"{name}.lua").read_text(encoding="utf-8")


def _entry(header: str, name: str) -> str:
    """What the header says under a name, over its indented lines."""
    found = re.search(rf"^-- {name}: (.+(?:\n--  +.+)*)$", header, re.MULTILINE)
    return re.sub(r"\n--  +", " ", found[1]) if found else ""

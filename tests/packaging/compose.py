"""The compose file as Compose reads it: variables filled in, and what it runs."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
VARIABLE = re.compile(r"\$(?:\$|{(?P<name>\w+)(?:(?P<rule>:[-?])(?P<word>[^}]*))?})")


class Unset(Exception):
    """A variable that has to be set is not."""


def filled(text: str, variables: Mapping[str, str]) -> str:
    """A text of the file with its variables. Raises Unset that names one."""

    def value(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "$"
        given = variables.get(match["name"], "")
        if not given and match["rule"] == ":?":
            raise Unset(match["name"])
        return given or (match["word"] or "" if match["rule"] == ":-" else "")

    return VARIABLE.sub(value, text)


def services(variables: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Each service of the file."""
    found: dict[str, dict[str, Any]] = _filled(yaml.safe_load(FILE.read_text()), variables)["services"]
    return found


def environment(service: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """A service's variables; one without a value is passed on if it is set."""
    given = {
        name: value if value is not None else variables.get(name) for name, value in service["environment"].items()
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _filled(part: Any, variables: Mapping[str, str]) -> Any:
    match part:
        case str():
            return filled(part, variables)
        case list():
            return [_filled(each, variables) for each in part]
        case dict():
            return {name: _filled(each, variables) for name, each in part.items()}
        case _:
            return part

"""The page docs/settings.md, made of the settings' own declarations.

    python -m worker.settings_page worker.settings:Settings tasks.settings:TriageSettings > docs/settings.md

A test says when this has to be run again.
"""

import importlib
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

HEAD = """# Settings

Made from the code by `python -m worker.settings_page`; change a setting's text there. All are environment variables. A
value that is not as it must be is refused at the start, by name.
"""
LIMITS = {"ge": "at least {}", "le": "at most {}", "pattern": "like `{}`"}


def page(places: Sequence[str]) -> str:
    """The page about these settings, each given as `module:class`."""
    return "\n".join([HEAD, *(line for place in places for line in _section(place))])


def _section(place: str) -> Iterator[str]:
    module, _, name = place.partition(":")
    settings: type[BaseSettings] = getattr(importlib.import_module(module), name)
    prefix = settings.model_config["env_prefix"]
    yield f"## `{prefix}…`\n\n{inspect.getdoc(settings)}\n"
    yield "| variable | default | meaning |\n| --- | --- | --- |"
    for field, info in settings.model_fields.items():
        yield f"| `{prefix}{field.upper()}` | {_default(info)} | {_meaning(info)} |"
    yield ""


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ("", {}):
        return "–"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"


def _meaning(info: FieldInfo) -> str:
    return "; ".join([info.description or "", *_limits(info)]).replace("|", "\\|")


def _limits(info: FieldInfo) -> Iterator[str]:
    for limit in info.metadata:
        for name, sentence in LIMITS.items():
            value: Any = getattr(limit, name, None)
            if value is not None:
                yield sentence.format(value)


def main() -> None:
    """Print the page; modules may lie in the current directory."""
    sys.path.insert(0, str(Path.cwd()))
    sys.stdout.write(page(sys.argv[1:]))


if __name__ == "__main__":
    main()

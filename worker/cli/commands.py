"""The commands of `onelane`: where each lives, and the line about it in the overview.

A command's module is imported when the command is called, and not before: `onelane --help` and `onelane enqueue` answer
without loading what only a worker needs. A distribution adds commands of its own with an entry point in the group
`onelane.commands`: a function, or a `typer.Typer` with subcommands; its module should be light, as the overview imports
it.
"""

import importlib
from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

GROUP = "onelane.commands"

COMMANDS = {
    "up": ("worker.cli.up:up", "Run everything here: services, migrations, workers, Flower."),
    "worker": ("worker.cli.worker:worker", "Run one worker in the foreground."),
    "enqueue": ("worker.cli.enqueue:enqueue", "Put jobs onto their lanes."),
    "job": ("worker.cli.job:job", "Say where a job is and what became of it."),
    "cancel": ("worker.cli.lanes:cancel", "Take a waiting job out of its lane."),
    "lanes": ("worker.cli.lanes:lanes", "Show what waits, and what stands still."),
    "lane": ("worker.cli.lanes:lane_app", "Look into one lane; hold, resume or skip."),
    "dead": ("worker.cli.dead:app", "Understand, replay or discard dead letters."),
    "migrate": ("worker.cli.migrate:app", "Make, adopt, check and undo the database schema."),
}


class Overview(TyperGroup):
    """Knows a line about each command; imports a command's module when it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._loaders: dict[str | None, Callable[[], Any]] = {}
        for name, (place, line) in COMMANDS.items():
            self._add(name, line, partial(_imported, place))
        for added in entry_points(group=GROUP):
            self._add(added.name, _line_of(added), added.load)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name, imported."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if name is None or stand_in is None:
            return name, stand_in, rest
        return name, _command(name, self._loaders[name]()), rest

    def _add(self, name: str, line: str, loader: Callable[[], Any]) -> None:
        self.commands[name] = TyperCommand(name, help=line)
        self._loaders[name] = loader


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _line_of(added: EntryPoint) -> str:
    """The first line of what the command says of itself; a broken distribution must not break the others."""
    try:
        loaded = added.load()
    except Exception as error:  # noqa: BLE001 - it is somebody else's module
        return f"It can't be loaded: {type(error).__name__}."
    text = loaded.info.help if isinstance(loaded, typer.Typer) else loaded.__doc__
    return str(text or "").strip().partition("\n")[0]


def _command(name: str, loaded: Any) -> Any:
    if isinstance(loaded, typer.Typer):
        command = typer.main.get_group(loaded)
        command.name = name
        return command
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(loaded)
    return typer.main.get_command(alone)

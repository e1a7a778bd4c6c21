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

from worker.errors import ConfigurationError

GROUP = "onelane.commands"

COMMANDS = {
    "up": ("worker.cli.up:up", "Run everything here: services, migrations, workers, Flower."),
    "worker": ("worker.cli.worker:worker", "Run one worker in the foreground."),
    "enqueue": ("worker.cli.enqueue:enqueue", "Put jobs onto their lanes."),
    "job": ("worker.cli.job:job", "Say where a job is and what became of it."),
    "cancel": ("worker.cli.cancel:cancel", "Take a waiting job out of its lane."),
    "lanes": ("worker.cli.lanes:lanes", "Show what waits, and what stands still."),
    "lane": ("worker.cli.lane:app", "Look into one lane; hold, resume, retry or skip it."),
    "dead": ("worker.cli.dead:app", "Understand, replay or discard dead letters."),
    "spool": ("worker.cli.spool:app", "Look at the jobs that wait on this host for Redis; send them."),
    "health": ("worker.cli.health:health", "Say whether jobs get done, and what to do if not."),
    "metrics": ("worker.cli.health:metrics", "Serve metrics for Prometheus, and health checks."),
    "migrate": ("worker.cli.migrate:app", "Make, adopt, check and undo the database schema."),
}


class Overview(TyperGroup):
    """Knows a line about each command; imports a command's module when it is called, or an added one's for its line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self._loaders: dict[str | None, Callable[[], Any]] = {}
        self._added = {added.name: added for added in entry_points(group=GROUP)}
        for name, (place, line) in COMMANDS.items():
            self._add(name, line, partial(_imported, place))
        for name, added in self._added.items():
            self._add(name, "", partial(_loaded, added))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` name, imported."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        if name is None or stand_in is None:
            return name, stand_in, rest
        return name, _command(name, self._loaders[name]()), rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The overview."""
        for name, added in self._added.items():
            self.commands[name].help = _line_of(added)
        super().format_help(ctx, formatter)

    def _add(self, name: str, line: str, loader: Callable[[], Any]) -> None:
        self.commands[name] = TyperCommand(name, help=line)
        self._loaders[name] = loader


def _imported(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _loaded(added: EntryPoint) -> Any:
    try:
        return added.load()
    except Exception as error:
        raise ConfigurationError(f"The command {added.name!r} ({added.value}) can't be loaded: {error}.") from error


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

"""The filter of `onelane dead`: the same arguments and options for each of its commands."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any

import psycopg
import typer
from psycopg import Connection

from worker.cli.operator import span
from worker.database import connect, require_usable
from worker.dead_letters import Filter
from worker.query import query
from worker.settings import Settings

OPTIONS: dict[str, Any] = {
    "ids": Annotated[list[str] | None, typer.Argument(metavar="ID", help="Which, by id.")],
    "lane": Annotated[str | None, typer.Option(metavar="NAME", help="Those of one lane.")],
    "kind": Annotated[str | None, typer.Option(metavar="KIND", help="Those of one kind.")],
    "code": Annotated[
        str | None, typer.Option(metavar="CODE", help="Those that ended so: permanent, exhausted, crash_loop, …")
    ],
    "error": Annotated[str | None, typer.Option(metavar="CLASS", help="Those with this error class.")],
    "sqlstate": Annotated[str | None, typer.Option(metavar="STATE", help="Those with this SQLSTATE.")],
    "text": Annotated[
        str | None, typer.Option(metavar="TEXT", help="Those with this in the error's message or in the job.")
    ],
    "older_than": Annotated[
        float | None, typer.Option(parser=span, metavar="SPAN", help="Those that died longer ago: 90s, 15m, 2h, 3d.")
    ],
    "newer_than": Annotated[
        float | None, typer.Option(parser=span, metavar="SPAN", help="Those that died since: 90s, 15m, 2h, 3d.")
    ],
    "replaying": Annotated[
        bool, typer.Option("--replaying", help="Those on their way back; after a loss of Redis' data, all that were.")
    ],
    "everything": Annotated[bool, typer.Option("--all", help="All of them.")],
    "limit": Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many, lowest numbers first.")
    ],
}

Command = Callable[..., None]


def filtered(*, must_say_which: bool = False) -> Callable[[Command], Command]:
    """For a command that takes the filter as one argument, `found`; typer sees the options that it is made of.

    With `must_say_which` nothing is done to all dead letters unless `--all` says so.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_options(**given: Any) -> None:
            conditions = {name: given.pop(name) for name in OPTIONS}
            command(found=_filter(conditions, must_say_which=must_say_which), **given)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != "found"]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=_default(name))
            for name, kind in OPTIONS.items()
        ]
        with_options.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]  # typer reads it
        with_options.__annotations__ = {p.name: p.annotation for p in (*shared, *own)}
        return with_options

    return decorate


def _default(name: str) -> Any:
    return False if name in {"replaying", "everything"} else None


def _filter(given: dict[str, Any], *, must_say_which: bool) -> Filter:
    everything = given.pop("everything")
    older, newer = given.pop("older_than"), given.pop("newer_than")
    ids = tuple(dict.fromkeys(given.pop("ids") or ()))
    found = Filter(ids=ids, older_than_seconds=older, newer_than_seconds=newer, **given)
    if everything and not found.is_everything:
        raise typer.BadParameter("--all means all of them: leave out ids and conditions, or leave out --all")
    if must_say_which and found.is_everything and not everything:
        raise typer.BadParameter("which? Give ids or conditions, or --all; --dry-run shows what would be done")
    return found


@contextmanager
def ledger(*, checked: bool = False) -> Iterator[tuple[Settings, Connection]]:
    """The settings, and a connection for looking through many dead letters.

    Raises ConfigurationError when the database can't be used. Whether it lacks a migration is `checked` before anything
    is changed or written; for who only looks, when something has failed, as it takes longer than a list.
    """
    settings = Settings.load()
    if checked:
        require_usable(settings)
    try:
        with connect(settings, name="onelane-dead") as connection:
            connection.execute(query("dead_session"))
            yield settings, connection
    except psycopg.Error:
        require_usable(settings)
        raise

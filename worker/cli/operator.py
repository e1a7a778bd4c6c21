"""What commands have in common that act by hand: on which job, who acts, why, for how long, and on which Redis."""

import getpass
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from redis import Redis

from worker.enqueue import ACTOR, JOB_ID
from worker.redis_client import redis_client, require_usable
from worker.settings import Settings

SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|min|h|d)")
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
LONGEST_SPAN_SECONDS = 366 * SECONDS["d"]
REASON_LIMIT = 500


@contextmanager
def services() -> Iterator[tuple[Settings, Redis]]:
    """The settings, and a Redis that can be used. Raises ConfigurationError."""
    settings = Settings.load()
    with redis_client(settings) as redis:
        require_usable(redis)
        yield settings, redis


def span(text: str) -> float:
    """The seconds of a time span such as 15m. Raises typer.BadParameter."""
    found = SPAN.fullmatch(text)
    seconds = float(found[1]) * SECONDS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST_SPAN_SECONDS:
        raise typer.BadParameter("expected a time span as 90s, 15m, 2h or 3d, up to 366d")
    return seconds


def _actor(name: str) -> str:
    if not ACTOR.fullmatch(name):
        raise typer.BadParameter("expected 1 to 50 characters without blanks: who asks for this?")
    return name


def _reason(text: str) -> str:
    if not 1 <= len(text) <= REASON_LIMIT or not text.isprintable():
        raise typer.BadParameter(f"expected 1 to {REASON_LIMIT} printable characters on one line")
    return text


def _job_id(text: str) -> str:
    if not JOB_ID.fullmatch(text):
        raise typer.BadParameter("expected an id as `enqueue` gave it")
    return text


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "operator"


ME = _me()

JobId = Annotated[str, typer.Argument(parser=_job_id, metavar="ID", help="The job's id, as `enqueue` gave it.")]
Actor = Annotated[str, typer.Option("--actor", parser=_actor, metavar="NAME", help="Who asks for this.")]
Reason = Annotated[str, typer.Option("--reason", parser=_reason, metavar="TEXT", help="Why; people will read it.")]
Span = Annotated[float | None, typer.Option("--for", parser=span, metavar="SPAN", help="How long: 90s, 15m, 2h, 3d.")]

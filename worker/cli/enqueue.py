"""`onelane enqueue`: one job from its fields, or many from a file of JSON lines.

While Redis is away, jobs go into this host's spool. A Redis that answers, but can't be used, is refused before anything
is queued.
"""

from dataclasses import asdict
from pathlib import Path
from typing import IO, Annotated

import typer
from redis.exceptions import RedisError

from worker.cli.job_file import hand_in
from worker.cli.output import Json, complain, print_json, say
from worker.cli.streams import read_from
from worker.client import Client, Handle
from worker.enqueue import Order, order
from worker.errors import ConfigurationError, NoOutcome, SpoolUnusable
from worker.fields import read_fields, with_fields
from worker.job import kind_of, load_kinds, parse
from worker.outcome import Outcome
from worker.redis_client import REDIS_AWAY, misconfigured, require_usable


def enqueue(  # noqa: PLR0913 - one for each option
    kind: Annotated[str, typer.Argument(metavar="KIND", help="The job's kind, such as user.upsert.")] = "",
    fields: Annotated[
        list[str] | None, typer.Argument(metavar="FIELD=VALUE", help="Its payload; a value is JSON, or else text.")
    ] = None,
    *,
    actor: Annotated[str, typer.Option(metavar="NAME", help="Who asks for it: a Slack id.", show_default=False)] = "",
    job_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="An id of your own: the same one twice is one job.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why.")] = None,
    lane: Annotated[str | None, typer.Option(metavar="NAME", help="Refuse it unless it belongs on this lane.")] = None,
    reply_to: Annotated[
        str | None, typer.Option(metavar="URL", help="Post the outcome's message there: Slack's response_url.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait so long for the outcome, and say it.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help='Many jobs, {"kind","payload","actor","id"?,"reason"?,"reply_to"?} a line; - is standard input.'
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a job onto its lane, or many from a file.

    Exit code 1 when something was refused, or, with --wait, when it was not carried out.
    """
    if bool(file) == bool(kind):
        raise typer.BadParameter("expected a KIND and its fields, or --file")
    if kind and not actor:
        raise typer.BadParameter("expected --actor: who asks for this?")
    if file and (actor or job_id or reason or lane or reply_to or wait is not None):
        raise typer.BadParameter(
            "with --file, actor, id, reason and reply_to stand in its lines; --lane and --wait can't be used"
        )
    client = Client.from_env()
    load_kinds(client.settings.task_modules)
    if file is None:
        job = parse(kind, with_fields(kind_of(kind), {}, read_fields(fields or [])))
        made = order(job, client.settings, actor=actor, job_id=job_id, reason=reason, lane=lane, reply_to=reply_to)
        _require_usable_unless_away(client)
        _one(client, made, wait, as_json=as_json)
    else:
        with read_from(file) as lines:
            _require_usable_unless_away(client)
            _many(client, lines, as_json=as_json)


def _one(client: Client, made: Order, wait: float | None, *, as_json: bool) -> None:
    try:
        (handle,) = client.submit([made])
    except SpoolUnusable as error:
        raise ConfigurationError(f"Nothing was enqueued. {error}") from None
    if handle.error is not None:
        raise handle.error
    if not as_json:
        say(_where(handle))
    outcome: Outcome | None = None
    if wait is not None and handle.state != "spooled":
        try:
            outcome = handle.wait(wait)
        except NoOutcome as error:
            complain(str(error))
    if as_json:
        answer = {"id": handle.id, "lane": handle.lane, "state": handle.state}
        print_json(answer if wait is None else {**answer, "outcome": outcome and asdict(outcome)})
    elif outcome is not None:
        more = f" See `onelane dead show {handle.id}`." if outcome.status == "dead" else ""
        say(f"{outcome.status}: {outcome.message}{more}")
    raise typer.Exit(int(wait is not None and (outcome is None or outcome.status not in {"applied", "unchanged"})))


def _many(client: Client, lines: IO[bytes], *, as_json: bool) -> None:
    done = hand_in(client, lines, complaining=not as_json)
    if as_json:
        print_json(asdict(done))
    else:
        say(done.sentence())
    raise typer.Exit(int(bool(done.refused)))


def _require_usable_unless_away(client: Client) -> None:
    try:
        client.redis.ping()
    except RedisError as error:
        if isinstance(error, REDIS_AWAY) and misconfigured(error) is None:
            return
    require_usable(client.redis)


def _where(handle: Handle) -> str:
    match handle.state:
        case "duplicate":
            return f"{handle.id} was enqueued before; it is still one job."
        case "spooled":
            return (
                f"Redis is away: {handle.id} waits in this host's spool, and goes onto {handle.lane} with the next "
                "enqueue, or by `onelane spool flush`."
            )
        case _:
            return f"{handle.id} waits on {handle.lane}."

"""A job file: one job a line, handed in chunk by chunk, so that a file may be larger than the memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from worker.cli.output import complain
from worker.cli.progress import progress
from worker.cli.streams import size
from worker.client import Client
from worker.enqueue import CHUNK, Order, order
from worker.errors import ConfigurationError, InvalidJob, JobTooLarge, OnelaneError, Refused, SpoolUnusable
from worker.job import explain, parse
from worker.settings import Settings

LINE_LIMIT = 8
"""A line may be so many times as long as a job: each character may be escaped, and more stands beside the payload."""


class Line(BaseModel):
    """One line of a job file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str
    payload: dict[str, Any]
    actor: str
    id: str | None = None
    reason: str | None = None
    reply_to: str | None = None


@dataclass(slots=True)
class HandedIn:
    """What became of the lines of a file; `refused` names each line that was refused, and why."""

    enqueued: int = 0
    duplicates: int = 0
    spooled: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)

    def count(self, state: str) -> None:
        """One more that is `queued`, `duplicate` or `spooled`."""
        self.enqueued += state == "queued"
        self.duplicates += state == "duplicate"
        self.spooled += state == "spooled"

    def sentence(self) -> str:
        """For people."""
        parts = [f"{self.enqueued:,} enqueued"]
        parts += [f"{self.duplicates:,} enqueued before"] if self.duplicates else []
        parts += [f"{self.spooled:,} in this host's spool, as Redis is away"] if self.spooled else []
        parts += [f"{len(self.refused):,} refused"] if self.refused else []
        return ", ".join(parts) + "."


def hand_in(client: Client, file: IO[bytes], *, complaining: bool) -> HandedIn:
    """Enqueue the jobs of a file: the good lines, whatever stands between them; the others are named.

    `complaining` names them on stderr as well. Raises ConfigurationError when neither Redis nor the spool takes jobs,
    OnelaneError when it is interrupted; both say how far it has come.
    """
    done, last = HandedIn(), 0
    lines = _lines(file, LINE_LIMIT * client.settings.payload_limit)
    with progress("Enqueueing", lambda: size(file)) as advance:
        try:
            while chunk := list(islice(lines, CHUNK)):
                refused = _hand_in_chunk(client, chunk, done)
                done.refused += refused
                for line in refused if complaining else ():
                    complain(f"line {line['line']}: {line['error']}")
                last = chunk[-1][0]
                advance(sum(len(line) for _, line in chunk))
        except SpoolUnusable as error:
            raise ConfigurationError(f"Only lines up to {last} were enqueued. {error}") from None
        except KeyboardInterrupt:
            raise OnelaneError(
                f"Interrupted: lines up to {last} were enqueued, and perhaps the next {CHUNK}."
            ) from None
    return done


def _hand_in_chunk(client: Client, chunk: list[tuple[int, bytes]], done: HandedIn) -> list[dict[str, Any]]:
    """Count what was taken; the lines that were refused, in order."""
    orders: list[tuple[int, Order]] = []
    refused: dict[int, Refused] = {}
    for number, line in chunk:
        try:
            orders.append((number, _order(line, client.settings)))
        except Refused as error:
            refused[number] = error
    for (number, _), handle in zip(orders, client.submit([made for _, made in orders]), strict=True):
        if handle.error is not None:
            refused[number] = handle.error
        else:
            done.count(handle.state)
    return [{"line": number, "error": str(error)} for number, error in sorted(refused.items())]


def _order(text: bytes, settings: Settings) -> Order:
    limit = LINE_LIMIT * settings.payload_limit
    if len(text) > limit:
        raise JobTooLarge(f"it is longer than {limit:,} bytes")
    try:
        found = from_json(text)
        if not isinstance(found, dict):
            raise InvalidJob('expected an object {"kind", "payload", "actor", "id"?, "reason"?, "reply_to"?}')
        line = Line.model_validate(found)
    except ValidationError as error:
        raise InvalidJob(explain(error)) from None
    except ValueError as error:
        raise InvalidJob(f"it is no JSON: {error}") from None
    more = {"reason": line.reason, "reply_to": line.reply_to}
    return order(parse(line.kind, line.payload), settings, actor=line.actor, job_id=line.id, **more)


def _lines(file: IO[bytes], limit: int) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers; of one that is longer than `limit` only its beginning."""
    number = 0
    while line := file.readline(limit + 1):
        number += 1
        rest = line
        while len(rest) > limit and not rest.endswith(b"\n"):
            rest = file.readline(limit + 1)
        if not line.isspace():
            yield number, line

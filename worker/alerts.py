"""Alerts: one message when an incident begins, one when it is over; never a flood.

An incident is a field of the hash `incidents`. Whoever sets it first tells of it, later ones only count: 10,000 dead
letters are one message. One that ends is told to be over when it has stayed over for a while, so a service that comes
and goes is one incident too. Each step is one script: whatever is killed, nothing is told twice and nothing kept quiet.

Telling is an entry in the stream `alerts`; a sentinel has it brought to people and to the bot (worker/sentinel.py,
worker/recipient.py). So alerting that fails or hangs never delays a job.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic_core import from_json, to_json
from redis import Redis
from redis.exceptions import RedisError

from worker.lane import Keys
from worker.script import run

ALERTS_LIMIT = 1000
"""Alerts that are kept, about."""

TEXT_CHARACTERS = 300

NAMES = {
    "outage": "outage",
    "dead": "dead letters",
    "crash_loop": "crash loop",
    "held": "held lanes",
    "oldest": "lanes wait for long",
    "spool": "spool",
    "consistency": "the data breaks its rules",
}
"""How people call an incident; its name may go on with whose it is, after a colon."""

State = Literal["begun", "over"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told: what, since when, how often, and the command that shows more."""

    state: State
    incident: str
    text: str
    since: int
    """When it began, µs."""
    command: str
    count: int = 1

    @classmethod
    def read(cls, fields: dict[bytes, bytes], count: int) -> Self:
        """From an entry of the stream; `count` is used if the entry has none of its own."""
        story = {**from_json(fields[b"story"]), "state": fields[b"state"].decode()}
        if b"text" in fields:
            story["text"] = fields[b"text"].decode()
        return cls(**story, count=int(fields.get(b"count", count)))

    @property
    def id(self) -> str:
        """The same for each repetition."""
        return f"{self.incident}:{self.since}:{self.state}"

    @property
    def title(self) -> str:
        """One line."""
        name, _, whose = self.incident.partition(":")
        what = f"{NAMES.get(name, name)} of {whose}" if whose else NAMES.get(name, name)
        return f"Onelane: over: {what}" if self.state == "over" else f"Onelane: {what}"

    @property
    def body(self) -> str:
        """The rest."""
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since / 1_000_000))
        times = f", {self.count:,} times" if self.count > 1 else ""
        return f"{self.text}\nSince {since}{times}. More: {self.command}"

    def story(self) -> bytes:
        """What is remembered while it lasts."""
        return to_json({"incident": self.incident, "text": self.text, "since": self.since, "command": self.command})


class Alerts:
    """Tells operators about incidents. While Redis is away it can only log; a sentinel tells of that itself."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis, self._keys = redis, keys

    def begin(self, incident: str, text: str, command: str = "onelane health", *, count: int = 1) -> None:
        """Something is wrong, `count` times; told if it wasn't known yet. `command` shows more.

        People are told the first line: what else an error of PostgreSQL says may be personal.
        """
        log.error("%s", text)
        line = text.partition("\n")[0][:TEXT_CHARACTERS]
        story = Alert("begun", incident, line, time.time_ns() // 1000, command).story()
        try:
            run(self._redis, self._keys, "begin_incident", incident, story, count, ALERTS_LIMIT)
        except RedisError:
            log.warning("This could not be told: Redis is away.")

    def end(self, incident: str, text: str) -> None:
        """It seems to be over; told if it was known and stays so."""
        try:
            if run(self._redis, self._keys, "end_incident", incident, text) == b"ending":
                log.info("%s", text)
        except RedisError:
            log.warning("This could not be told: Redis is away. %s", text)

    def open(self) -> dict[str, Alert]:
        """The incidents that have begun and don't seem over. Raises redis.RedisError."""
        named = self._keys.named
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(named("incidents"))
            pipeline.hgetall(named("incident_counts"))
            pipeline.hkeys(named("incidents_over"))
            stories, counts, over = pipeline.execute()
        return {
            name.decode(): Alert(state="begun", **from_json(story), count=int(counts.get(name, 1)))
            for name, story in stories.items()
            if name not in over
        }

    def count(self, incident: str) -> int:
        """How often an incident was seen so far. Raises redis.RedisError."""
        found: Any = self._redis.hget(self._keys.named("incident_counts"), incident)
        return int(found or 1)

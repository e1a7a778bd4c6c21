"""Alerts: one message when an incident begins, one when it is over; never a flood.

An incident is a field of the hash `incidents`: whoever sets it first tells of it, later ones only count. Telling is
two things. The bot hears of it through its stream of effects, as an entry whose id is made of the incident and its
beginning, so that it is told once, whoever repeats it. And a message is put at the end of the list `alerts`, from
which a sentinel sends it to people (worker/sentinel.py). So alerting that fails or hangs never delays a job.
"""

import logging
import time
from typing import Any

from pydantic_core import from_json, to_json
from redis import Redis
from redis.exceptions import RedisError

from worker.lane import Keys
from worker.script import run
from worker.settings import Settings

REMEMBERED_SECONDS = 7 * 24 * 3600
UNSENT_LIMIT = 1000
"""Messages that wait to be sent; when sending fails for long, the oldest are given up."""

log = logging.getLogger(__name__)


class Alerts:
    """Tells operators about incidents. While Redis is away it can only log."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis, self._keys, self._settings = redis, keys, settings
        self._incidents, self._counts = keys.named("incidents"), keys.named("incident_counts")

    def begin(self, incident: str, text: str, command: str = "onelane health") -> None:
        """Something is wrong; told if it wasn't known yet, else counted. `command` shows more."""
        log.error("%s", text)
        try:
            since = time.time_ns() // 1000
            story = {"incident": incident, "since": since, "text": text, "command": command}
            is_new = self._redis.hsetnx(self._incidents, incident, to_json(story).decode())
            self._redis.hincrby(self._counts, incident, 1)
            if is_new:
                self._tell("begun", story)
        except RedisError:
            log.warning("This could not be told: Redis is away.")

    def end(self, incident: str, text: str) -> None:
        """It is over; told only if it was known."""
        try:
            known: Any = self._redis.hget(self._incidents, incident)
            if known is None:
                return
            count: Any = self._redis.hget(self._counts, incident)
            self._tell("over", {**from_json(known), "text": text, "count": int(count or 1)})
            self._redis.hdel(self._incidents, incident)
            self._redis.hdel(self._counts, incident)
            log.info("%s", text)
        except RedisError:
            log.warning("This could not be told: Redis is away. %s", text)

    def open(self) -> set[str]:
        """The incidents that are not over. Raises redis.RedisError."""
        names: Any = self._redis.hkeys(self._incidents)
        return {name.decode() for name in names}

    def _tell(self, state: str, story: dict[str, Any]) -> None:
        payload = to_json({**story, "state": state})
        effect = (f"{story['incident']}:{story['since']}:{state}", "alert", payload, "", str(story["since"]))
        limits = (self._settings.effects_limit, REMEMBERED_SECONDS * 1_000_000)
        is_new = run(self._redis, self._keys, "publish", *limits, *effect, effects=self._settings.effects_stream)
        if is_new and self._settings.alert_urls:
            self._redis.rpush(self._keys.named("alerts"), payload)
            self._redis.ltrim(self._keys.named("alerts"), -UNSENT_LIMIT, -1)

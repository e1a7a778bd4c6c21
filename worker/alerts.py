"""Alerts: one message when an incident begins, one when it is over; never a flood.

An incident is a field of the hash `incidents`; whoever sets it first tells the bot through the stream of effects. The
stream's entry has an id made of the incident and its beginning, so that it is told once, whoever repeats it.
"""

import logging
import time
from typing import Any

from pydantic_core import to_json
from redis import Redis
from redis.exceptions import RedisError

from worker.lane import Keys
from worker.script import run
from worker.settings import Settings

REMEMBERED_SECONDS = 7 * 24 * 3600

log = logging.getLogger(__name__)


class Alerts:
    """Tells operators about incidents. While Redis is away it can only log."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis, self._keys, self._settings = redis, keys, settings
        self._incidents = keys.named("incidents")

    def begin(self, incident: str, text: str) -> None:
        """Something is wrong; told only if it wasn't known yet."""
        log.error("%s", text)
        try:
            since = str(time.time_ns() // 1000)
            if self._redis.hsetnx(self._incidents, incident, since):
                self._tell(incident, since, "begun", text)
        except RedisError:
            log.warning("This could not be told: Redis is away.")

    def end(self, incident: str, text: str) -> None:
        """It is over; told only if it was known."""
        try:
            since: Any = self._redis.hget(self._incidents, incident)
            if since is not None:
                self._tell(incident, since.decode(), "over", text)
                self._redis.hdel(self._incidents, incident)
                log.info("%s", text)
        except RedisError:
            log.warning("This could not be told: Redis is away. %s", text)

    def _tell(self, incident: str, since: str, state: str, text: str) -> None:
        payload = to_json({"incident": incident, "state": state, "since": int(since), "text": text})
        effect = (f"{incident}:{since}:{state}", "alert", payload, "", since)
        limits = (self._settings.effects_limit, REMEMBERED_SECONDS * 1_000_000)
        run(self._redis, self._keys, "publish", *limits, *effect, effects=self._settings.effects_stream)

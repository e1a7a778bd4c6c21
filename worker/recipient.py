"""A recipient: who is told of alerts. Each of `ONELANE_ALERT_URLS` is one, and so is the bot, through its stream.

Each reads the stream `alerts` at a pace of its own: the hash `alert_cursors` says how far it was told. A cursor moves
on only after the message was sent, so a sentinel that is killed in between sends that one again; and one whose server
is away keeps no other waiting. What could not be sent for a day is no news any more.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

from pydantic_core import to_json
from redis import Redis

from worker.alerts import Alert, Alerts
from worker.errors import ConfigurationError
from worker.lane import Keys
from worker.probe import Probe
from worker.script import run
from worker.settings import Settings

NEWS_SECONDS = 24 * 3600
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0
SEEN_SECONDS = 7 * 24 * 3600
"""How long the bot's stream remembers which alerts it has."""

log = logging.getLogger(__name__)


class Recipient:
    """Brings alerts to one recipient. `tell` says whether that went well; it may take long."""

    def __init__(self, name: str, cursor: str, tell: Callable[[Alert], bool], redis: Redis, keys: Keys) -> None:
        self.name, self.tell = name, tell
        self._cursor, self._redis, self._keys = cursor, redis, keys
        self._alerts = Alerts(redis, keys)
        self._reached = ""
        self._failures, self._not_before = 0, 0.0
        self._bringing = Probe(f"onelane-alerts-{cursor}", self._bring)

    def bring(self, newest: str) -> None:
        """Bring all alerts up to the `newest`, in a thread of its own."""
        if newest != self._reached and time.monotonic() >= self._not_before:
            self._bringing.ask()

    def _bring(self) -> None:
        while entry := self._next():
            number, alert = entry
            if not self.tell(alert):
                self._failures += 1
                pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** (self._failures - 1))
                self._not_before = time.monotonic() + pause
                log.warning("%s could not be told of an alert; the next try is in %.0f s.", self.name, pause)
                return
            self._failures = 0
            self._redis.hset(self._keys.named("alert_cursors"), self._cursor, number)
            self._reached = number

    def _next(self) -> tuple[str, Alert] | None:
        told: Any = self._redis.hget(self._keys.named("alert_cursors"), self._cursor)
        oldest = f"{int((time.time() - NEWS_SECONDS) * 1000)}-0"
        start = max(oldest, told.decode() if told else "", key=_place)
        found: Any = self._redis.xrange(self._keys.named("alerts"), min=f"({start}", count=1)
        if not found:
            return None
        (number, fields) = found[0]
        alert = Alert.read(fields, 1)
        if alert.state == "begun":
            alert = Alert.read(fields, self._alerts.count(alert.incident))
        return number.decode(), alert


def _place(number: str) -> tuple[int, ...]:
    """Where an entry of a stream stands."""
    return tuple(map(int, number.split("-"))) if number else (0,)


def people(settings: Settings, redis: Redis, keys: Keys) -> list[Recipient]:
    """Whom `ONELANE_ALERT_URLS` names."""
    return [
        Recipient(f"The {n}. of ONELANE_ALERT_URLS", _digest(url), Person(n, url).tell, redis, keys)
        for n, url in enumerate(settings.alert_urls.split(), 1)
    ]


class Person:
    """Whoever reads what is sent to the n-th URL. Apprise is loaded for the first message: few workers send one."""

    def __init__(self, number: int, url: str) -> None:
        self._number, self._url = number, url

    @cached_property
    def _service(self) -> Any:
        from apprise import Apprise  # noqa: PLC0415 - heavy, and most processes tell nobody

        service = Apprise()
        if not service.add(self._url):
            raise ConfigurationError(
                f"ONELANE_ALERT_URLS: the {self._number}. is not a URL that apprise knows, "
                "such as slack://… or mailto://…"
            )
        return service

    def check(self) -> None:
        """Raise ConfigurationError unless it is a URL that can be sent to; without its secrets."""
        _ = self._service

    def tell(self, alert: Alert) -> bool:
        """Send one message; whether it was taken. A URL that is none is said in the log."""
        try:
            return bool(self._service.notify(title=alert.title, body=alert.body))
        except ConfigurationError as error:
            log.error("%s", error)  # noqa: TRY400 - the sentence says it all
            return False


def require_tellable(settings: Settings) -> None:
    """Raise ConfigurationError that names the first of `ONELANE_ALERT_URLS` that is none, without its secrets."""
    for number, url in enumerate(settings.alert_urls.split(), 1):
        Person(number, url).check()


def _digest(url: str) -> str:
    return hashlib.blake2b(url.encode(), digest_size=9).hexdigest()


def bot(settings: Settings, redis: Redis, keys: Keys) -> Recipient:
    """The bot: an alert is an effect of the kind `alert`."""

    def publish(alert: Alert) -> bool:
        payload = {"state": alert.state, "incident": alert.incident, "text": alert.text, "since": alert.since}
        more = {"command": alert.command, "count": alert.count}
        effect = (alert.id, "alert", to_json({**payload, **more}), "", str(alert.since))
        limits = (settings.effects_limit, SEEN_SECONDS * 1_000_000)
        run(redis, keys, "publish", *limits, *effect, effects=settings.effects_stream)
        return True

    return Recipient("The bot", "bot", publish, redis, keys)

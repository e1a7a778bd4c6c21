"""The sentinel: looks for incidents that no drain can notice, ends those that are over, and sends alerts to people.

Each worker's main process has one, in a thread of its own, so whatever hangs here harms no job. One at a time looks and
sends: who holds the key `sentinel`, which ends by itself when its holder dies. A message leaves the list `alerts` only
after it was sent; a sentinel killed in between sends it once more.
"""

import logging
import socket
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
from pydantic_core import from_json
from redis import Redis
from redis.exceptions import RedisError

from worker.alerts import Alerts
from worker.database import connect
from worker.errors import ConfigurationError
from worker.lane import Keys
from worker.migrate import verify
from worker.query import query
from worker.redis_client import redis_client
from worker.settings import Settings
from worker.spool import Spool

ROUND_SECONDS = 5.0
LOOK_SECONDS = 10.0
VERIFY_SECONDS = 300.0
HOLDER_MS = 60_000
STOP_SECONDS = 1.0

log = logging.getLogger(__name__)


class Sentinel:
    """Looks and sends until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._redis: Redis = redis_client(settings)
        self._alerts = Alerts(self._redis, self._keys, settings)
        self._notify = notifier(settings)
        self._name = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
        self._next_look = self._next_verify = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._stand, name="onelane-sentinel", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round it is in; never wait for a message that hangs."""
        self._stopped.set()
        self._thread.join(timeout=STOP_SECONDS)

    def _stand(self) -> None:
        while not self._stopped.wait(ROUND_SECONDS):
            try:
                self.round()
            except (RedisError, psycopg.Error, ConfigurationError) as error:
                log.debug("The sentinel tries again: %s", error)
        self._redis.close()

    def round(self) -> None:
        """Look, if it is time, and send what waits. Raises redis.RedisError, psycopg.Error."""
        self._look_at_the_spool()
        if not self._is_on_guard():
            return
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look_at_lanes()
            self._look_at_dead_letters()
        if now >= self._next_verify:
            self._next_verify = now + VERIFY_SECONDS
            self._look_at_the_data()
        self._send()

    def _is_on_guard(self) -> bool:
        key = self._keys.named("sentinel")
        if self._redis.set(key, self._name, nx=True, px=HOLDER_MS):
            return True
        if self._redis.get(key) != self._name.encode():
            return False
        return bool(self._redis.pexpire(key, HOLDER_MS))

    def _judge(self, incident: str, text: str | None, over: str, command: str) -> None:
        """Begin the incident if `text` says what is wrong and it isn't known; end it if nothing is."""
        known = incident in self._alerts.open()
        if text is not None and not known:
            self._alerts.begin(incident, text, command)
        elif text is None and known:
            self._alerts.end(incident, over)

    def _look_at_the_spool(self) -> None:
        size = Spool(self._settings.data_dir).size()
        text = (
            f"{size} bytes of jobs wait in the spool of {socket.gethostname()}: Redis was away for it."
            if size
            else None
        )
        self._judge(f"spool:{socket.gethostname()}", text, "The spool is empty again.", "onelane spool status")

    def _look_at_lanes(self) -> None:
        now = time.time_ns() // 1000
        oldest: Any = self._redis.zrange(self._keys.named("ready"), 0, 0, withscores=True)
        age = (now - oldest[0][1]) / 1_000_000 if oldest else 0.0
        text = (
            f"A ready lane waits for {age:.0f} s: {oldest[0][0].decode()}."
            if age > self._settings.oldest_seconds
            else None
        )
        self._judge("oldest", text, "No ready lane waits for long any more.", "onelane lanes")
        held = self._keys.named("held")
        for incident in self._alerts.open():
            kind, _, lane = incident.partition(":")
            if kind == "held" and not self._redis.hexists(held, lane):
                self._alerts.end(incident, f"The lane {lane} is no longer held.")

    def _look_at_dead_letters(self) -> None:
        known = {"dead", "crash_loop"} & self._alerts.open()
        if not known:
            return
        with connect(self._settings, name="onelane-sentinel") as connection:
            _, dead = connection.execute(query("backlog")).fetchone() or (0, 0)
        for incident in known if dead == 0 else ():
            self._alerts.end(incident, "No dead letter waits any more.")

    def _look_at_the_data(self) -> None:
        found = verify(self._settings.require_database(), self._settings.task_modules)
        text = f"{len(found)} of the data's rules are broken: {found[0]}" if found else None
        self._judge("consistency", text, "All rules of the data hold again.", "onelane migrate verify")

    def _send(self) -> None:
        waiting = self._keys.named("alerts")
        while raw := self._first(waiting):
            story = from_json(raw)
            if not self._notify(_title(story), self._body(story)):
                log.warning("An alert could not be sent; it is tried again.")
                return
            self._redis.lpop(waiting)
            self._redis.pexpire(self._keys.named("sentinel"), HOLDER_MS)

    def _first(self, waiting: str) -> bytes:
        return bytes(self._redis.lindex(waiting, 0) or b"")  # type: ignore[arg-type]  # redis-py types both its clients

    def _body(self, story: dict[str, Any]) -> str:
        count: Any = story.get("count") or self._redis.hget(self._keys.named("incident_counts"), story["incident"]) or 1
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(story["since"] / 1_000_000))
        times = f" ({int(count)} times)" if int(count) > 1 else ""
        return f"{story['text']}\nSince {since}{times}. More: {story['command']}"


def notifier(settings: Settings) -> Callable[[str, str], bool]:
    """What tells everybody a title and a body, and says whether that went well.

    Raises ConfigurationError that names a URL which is none, without its secrets.
    """
    if not settings.alert_urls:
        return lambda _title, _body: True
    from apprise import Apprise  # noqa: PLC0415 - heavy, and most workers have nobody to tell

    people = Apprise()
    for number, url in enumerate(settings.alert_urls.split(), 1):
        if not people.add(url):
            raise ConfigurationError(
                f"ONELANE_ALERT_URLS: the {number}. is not a URL that apprise knows, such as slack://… or mailto://…"
            )
    return lambda title, body: bool(people.notify(title=title, body=body))


def _title(story: dict[str, Any]) -> str:
    kind = str(story["incident"]).partition(":")[0]
    return f"Onelane: {kind.replace('_', ' ')} {'is over' if story['state'] == 'over' else 'has begun'}"

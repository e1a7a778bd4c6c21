"""The job that deletes the bot's cache keys in Redis after a change of a table.

It is left in the outbox by the change, so it runs after the commit: whoever misses the key then reads what is new. But
a reader that had read just before the commit may put the old value back after the deletion, for as long as the bot
caches it (sprints: six hours). So the keys are deleted once more `REPEAT_SECONDS` after a table's last change.

That second deletion is a timer in the worker's process; a worker that ends in good order makes it at once. A lane can't
do it: a job that answers `wait` aborts the batch that it is in, and has but a few attempts. A worker that is killed
within these seconds loses it. Then an old value stays only if such a slow reader came just then, and no longer than
the bot caches it, or until the table's next change.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal

from celery.signals import worker_process_shutdown
from pydantic_core import to_json
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tasks.settings import triage_settings
from tasks.triage_job import TriageJob
from worker.errors import OnelaneError
from worker.settings import Settings

REPEAT_SECONDS = 5.0
TIMEOUT_SECONDS = 1.0
"""For one command: a cache that hangs holds up the batch that it first fails in, and then its own lanes."""

Table = Literal["users", "sprints", "overrides", "state"]

LISTS: dict[Table, str] = {
    "users": "disciplines:all",
    "sprints": "sprints:all",
    "overrides": "overrides:all",
    "state": "currentState",
}
"""Table → the key that holds all of it."""
DECIDE_WHO_IS_ON_DUTY = frozenset({"users", "overrides", "state"})
"""Tables whose change makes `sprintUsers:<index>` old, for every sprint."""

log = logging.getLogger(__name__)


class CacheAway(OnelaneError):
    """The Redis of the bot's cache can't be used. It is not the lanes' Redis, so this is no outage of ours."""


class DropCaches(TriageJob, kind="caches.drop"):
    """The bot's cache holds nothing of a table; also some seconds from now."""

    table: Table
    merge = True
    messages = {
        "dropped": "{keys} keys of the bot's cache were deleted.",
        "off": "This worker deletes no cache keys (TRIAGE_CACHE_PREFIX is not set).",
    }

    def lane(self) -> str:
        """The table's own lane."""
        return f"caches:{self.table}"

    @classmethod
    def context(cls) -> dict[str, Any]:
        """How the bot's keys begin."""
        return {"prefix": triage_settings().cache_prefix}

    @staticmethod
    def apply(  # type: ignore[override]  # as the contract wants it; mypy takes a callable in a class for a method
        connection: Any, jobs: list[dict[str, Any]], context: dict[str, Any]
    ) -> Iterable[tuple[Any, ...]]:
        """Delete the keys. Raises CacheAway, psycopg.Error."""
        if not context["prefix"]:
            return [(job["_n"], "unchanged", "off", None, None, None) for job in jobs]
        sprints = [index for (index,) in connection.execute("SELECT sprint_index FROM public.sprints")]
        answers = []
        for job in jobs:
            keys = [context["prefix"] + key for key in keys_of(job["table"], sprints)]
            try:
                deleted = _delete(keys)
            except RedisError as error:
                raise CacheAway(
                    f"The bot's cache can't be reached ({type(error).__name__}): look at TRIAGE_CACHE_REDIS_URL, "
                    "or at the lanes' Redis if that is not set."
                ) from error
            REPETITIONS.plan(job["table"], keys)
            answers.append((job["_n"], "applied", "dropped", None, None, to_json({"keys": deleted}).decode()))
        return answers


def keys_of(table: Table, sprints: Iterable[int]) -> list[str]:
    """The keys that are old after a change of the table, without the prefix."""
    on_duty = [f"sprintUsers:{index}" for index in sprints] if table in DECIDE_WHO_IS_ON_DUTY else []
    return [LISTS[table], *on_duty]


class Repetitions:
    """Deletes the keys of each table once more, `REPEAT_SECONDS` after their last deletion, in threads of its own."""

    def __init__(self) -> None:
        self._planned: dict[Table, tuple[threading.Timer, Sequence[str]]] = {}

    def plan(self, table: Table, keys: Sequence[str]) -> None:
        """Delete these once more; what was planned for the table before is done by this."""
        timer = threading.Timer(REPEAT_SECONDS, _delete_again, (keys,))
        timer.daemon = True
        earlier = self._planned.get(table)
        self._planned[table] = timer, keys
        if earlier is not None:
            earlier[0].cancel()
        timer.start()

    def cancel(self) -> list[Sequence[str]]:
        """Delete nothing more; the keys of what had not begun."""
        waiting = [(timer, keys) for timer, keys in self._planned.values() if timer.is_alive()]
        for timer, _ in waiting:
            timer.cancel()
        self._planned.clear()
        return [keys for _, keys in waiting]

    def finish(self) -> None:
        """Delete at once what is still planned."""
        for keys in self.cancel():
            _delete_again(keys)


REPETITIONS = Repetitions()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def _finish(**_: object) -> None:
    """A process of Celery's pool runs no exit handlers of Python; this is its own."""
    REPETITIONS.finish()


def _delete_again(keys: Sequence[str]) -> None:
    try:
        _delete(keys)
    except RedisError as error:
        log.warning("The bot's cache could not be cleared once more (%s).", type(error).__name__)


def _delete(keys: Sequence[str]) -> int:
    """Delete keys one by one, since on a cluster each may have a slot of its own; how many there were."""
    with client().pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.unlink(key)
        return sum(pipeline.execute())


@cache
def client() -> Redis:
    """The process's client of the bot's cache."""
    return Redis.from_url(
        triage_settings().cache_redis_url or Settings.load().require_redis(),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )

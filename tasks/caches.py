"""The jobs that delete the bot's cache keys in Redis after a change of a table.

The first is left in the outbox by the change, so it runs after the commit: whoever misses the key then reads what is
new. But a reader that had read just before the commit may put the old value back after the deletion, for as long as
the bot caches it (sprints: six hours). So each drop leaves a second one in the outbox, in the transaction that records
it. That one rests for some seconds (worker/rest.py), so it outlives every worker; and it has lanes of its own, so that
no first drop waits behind one that rests.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any, ClassVar, Literal, LiteralString

from pydantic_core import to_json
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from tasks.settings import triage_settings
from tasks.triage_job import TriageJob
from worker.errors import OnelaneError
from worker.settings import Settings

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


class CacheAway(OnelaneError):
    """The Redis of the bot's cache can't be used. It is not the lanes' Redis, so this is no outage of ours."""


class CacheDrop(TriageJob):
    """The bot's cache holds nothing of a table."""

    table: Table

    @classmethod
    def context(cls) -> dict[str, Any]:
        """How the bot's keys begin."""
        return {"prefix": triage_settings().cache_prefix}


class DropCaches(CacheDrop, kind="caches.drop"):
    """The first drop, right after a change."""

    merge = True
    messages = {
        "dropped": "{keys} keys of the bot's cache were deleted.",
        "off": "This worker deletes no cache keys (TRIAGE_CACHE_PREFIX is not set).",
    }

    def lane(self) -> str:
        """The table's own lane."""
        return f"caches:{self.table}"

    @staticmethod
    def apply(  # type: ignore[override]  # as the contract wants it; mypy takes a callable in a class for a method
        connection: Any, jobs: list[dict[str, Any]], context: dict[str, Any]
    ) -> Iterable[tuple[Any, ...]]:
        """Delete the keys, and leave a second drop. Raises CacheAway, psycopg.Error."""
        answers = _drop(connection, jobs, context["prefix"])
        if context["prefix"]:
            connection.execute(_follow_ups(), {"jobs": to_json(jobs).decode()})
        return answers


class DropCachesAgain(CacheDrop, kind="caches.drop_again"):
    """The second drop, for what a slow reader has put back. Those of a table that are due together are one."""

    rest_ms: ClassVar[int] = 5000
    folds = True
    messages = {
        "dropped": "{keys} keys of the bot's cache were deleted once more.",
        "off": "This worker deletes no cache keys (TRIAGE_CACHE_PREFIX is not set).",
    }

    def lane(self) -> str:
        """Not the one of the first drops, which do not rest."""
        return f"caches-again:{self.table}"

    @staticmethod
    def apply(  # type: ignore[override]  # as the contract wants it; mypy takes a callable in a class for a method
        connection: Any, jobs: list[dict[str, Any]], context: dict[str, Any]
    ) -> Iterable[tuple[Any, ...]]:
        """Delete the keys. Raises CacheAway, psycopg.Error."""
        return _drop(connection, jobs, context["prefix"])


def _drop(connection: Any, jobs: Sequence[dict[str, Any]], prefix: str) -> list[tuple[Any, ...]]:
    """Delete the keys of each table once; the answer for each job."""
    if not prefix:
        return [(job["_n"], "unchanged", "off", None, None, None) for job in jobs]
    sprints = [index for (index,) in connection.execute("SELECT sprint_index FROM public.sprints")]
    try:
        deleted = {
            table: _delete([prefix + key for key in keys_of(table, sprints)])
            for table in dict.fromkeys(job["table"] for job in jobs)
        }
    except RedisError as error:
        raise CacheAway(
            f"The bot's cache can't be reached ({type(error).__name__}): look at TRIAGE_CACHE_REDIS_URL, "
            "or at the lanes' Redis if that is not set."
        ) from error
    facts = {table: to_json({"keys": number}).decode() for table, number in deleted.items()}
    return [(job["_n"], "applied", "dropped", None, None, facts[job["table"]]) for job in jobs]


def keys_of(table: Table, sprints: Iterable[int]) -> list[str]:
    """The keys that are old after a change of the table, without the prefix."""
    on_duty = [f"sprintUsers:{index}" for index in sprints] if table in DECIDE_WHO_IS_ON_DUTY else []
    return [LISTS[table], *on_duty]


@cache
def _follow_ups() -> LiteralString:
    return resources.files("tasks").joinpath("sql", "caches.follow_ups.sql").read_text(encoding="utf-8")


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

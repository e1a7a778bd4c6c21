"""The bot's cache: after a change its keys are gone, and gone once more some seconds later; a cache that is away harms
no other lane.
"""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tasks import DropCaches, DropCachesAgain, UpsertSprint, UpsertUser, caches
from tasks.caches import CacheAway, Table
from tasks.settings import triage_settings
from tests.domain.conftest import Desk
from tests.domain.live import Live, eventually
from worker.errors import ConfigurationError

KEYS = (
    *("disciplines:all", "sprints:all", "overrides:all", "currentState"),
    *("sprintUsers:0", "sprintUsers:1", "sprintUsers:7", "slackUsers:all"),
)


@pytest.fixture
def cache(redis: Redis, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["Cache"]:
    """The bot's cache, under a prefix of this test's own."""
    monkeypatch.setenv("TRIAGE_CACHE_PREFIX", f"{prefix}:")
    monkeypatch.setenv("TRIAGE_CACHE_REDIS_URL", redis_url)
    forget()
    yield Cache(redis, prefix)
    forget()


def forget() -> None:
    """The process's settings and client are made anew."""
    triage_settings.cache_clear()
    caches.client.cache_clear()


class Cache:
    """What the bot has cached."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis, self._prefix = redis, prefix

    def fill(self, *keys: str) -> None:
        """The bot caches these."""
        for key in keys:
            self._redis.set(f"{self._prefix}:{key}", "old")

    def left(self) -> list[str]:
        """Which keys there are."""
        return [key for key in KEYS if self._redis.exists(f"{self._prefix}:{key}")]


def add_sprints(desk: Desk) -> None:
    desk.do_all(
        [
            UpsertSprint(sprint_index=n, sprint_name=f"Sp{n}", start_date="2030-01-02", end_date="2030-01-15")  # type: ignore[arg-type]
            for n in (0, 1)
        ]
    )


@pytest.mark.parametrize(
    ("table", "gone"),
    [
        ("users", ["disciplines:all", "sprintUsers:0", "sprintUsers:1"]),
        ("sprints", ["sprints:all"]),
        ("overrides", ["overrides:all", "sprintUsers:0", "sprintUsers:1"]),
        ("state", ["currentState", "sprintUsers:0", "sprintUsers:1"]),
    ],
)
def test_a_change_of_a_table_drops_its_keys_and_no_others(
    desk: Desk, cache: Cache, table: Table, gone: list[str]
) -> None:
    add_sprints(desk)
    cache.fill(*KEYS)
    outcome = desk.do(DropCaches(table=table), actor="onelane")
    assert (outcome.status, outcome.code) == ("applied", "dropped")
    assert outcome.message == f"{len(gone)} keys of the bot's cache were deleted."
    assert cache.left() == [key for key in KEYS if key not in gone]


def test_what_a_slow_reader_puts_back_is_deleted_once_more_though_every_worker_is_killed(
    redis: Redis, redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    live = Live(*(redis_url, database_url, prefix, tmp_path), TRIAGE_CACHE_PREFIX=f"{prefix}:", ONELANE_LEASE_MS="1000")
    cache = Cache(redis, prefix)
    try:
        cache.fill("disciplines:all")
        worker = live.start()
        live.client.enqueue(UpsertUser(slack_id="U1", name="N", discipline="po"), actor="U0ADMIN")
        eventually(lambda: cache.left() == [], "the first deletion")
        live.kill(worker)
        cache.fill("disciplines:all")
        live.start()
        eventually(lambda: cache.left() == [], "the second deletion")
        live.await_quiet()
        with psycopg.connect(database_url) as connection:
            ends = connection.execute(
                "SELECT status, code, finished_at - enqueued_at >= make_interval(secs => %s) FROM onelane.ledger"
                " WHERE kind = 'caches.drop_again'",
                [DropCachesAgain.rest_ms / 1000],
            ).fetchall()
        assert ends == [("applied", "dropped", True)]
    finally:
        live.close()


@pytest.mark.usefixtures("cache")
def test_each_drop_that_is_done_leaves_a_second_one_in_another_lane(desk: Desk) -> None:
    outcomes = desk.do_all([DropCaches(table="sprints"), DropCaches(table="sprints"), DropCaches(table="users")])
    assert [outcome.code for outcome in outcomes] == ["dropped", "merged", "dropped"]
    assert sorted(desk.follow_ups(), key=str) == [
        ("caches.drop_again", {"table": "sprints"}),
        ("caches.drop_again", {"table": "users"}),
    ]
    assert DropCaches(table="users").lane() != DropCachesAgain(table="users").lane()


def test_second_drops_of_a_table_that_are_due_together_delete_once_and_leave_no_third(desk: Desk, cache: Cache) -> None:
    add_sprints(desk)
    desk.forget_outbox()
    cache.fill("sprints:all", "currentState")
    outcomes = desk.do_all([DropCachesAgain(table="sprints")] * 3 + [DropCachesAgain(table="state")])
    one = "1 keys of the bot's cache were deleted once more."
    assert [outcome.message for outcome in outcomes] == [one] * 4
    assert (cache.left(), desk.follow_ups()) == ([], [])


def test_drops_that_wait_are_done_as_one(desk: Desk, cache: Cache) -> None:
    cache.fill(*KEYS)
    outcomes = desk.do_all([DropCaches(table="users"), DropCaches(table="users"), DropCaches(table="state")])
    assert [outcome.code for outcome in outcomes] == ["dropped", "merged", "dropped"]


def test_each_table_has_its_drop_only_where_a_prefix_is_set(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.left() == []
    assert triage_settings().copies == {
        table: [{"kind": "caches.drop", "payload": {"table": table}}]
        for table in ("users", "sprints", "overrides", "state")
    }
    monkeypatch.delenv("TRIAGE_CACHE_PREFIX")
    forget()
    assert not any(triage_settings().copies.values())


def test_without_a_prefix_a_drop_deletes_nothing(desk: Desk) -> None:
    forget()
    outcome = desk.do(DropCaches(table="users"))
    assert (outcome.status, outcome.code) == ("unchanged", "off")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TRIAGE_CACHE_PREFIX", "t1triage:prod", "a prefix that ends with a colon, such as t1triage:prod:"),
        ("TRIAGE_CACHE_REDIS_URL", "http://s3cret@cache", "a Redis URL, such as redis://localhost:6379/0"),
        ("TRIAGE_CACHE_REDIS_URL", "redis://:s3cret/x@cache", "a Redis URL, such as redis://localhost:6379/0"),
    ],
)
def test_a_setting_that_can_not_work_is_named_with_what_was_expected(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(name, value)
    forget()
    with pytest.raises(ConfigurationError, match=f"{name}: .*expected {expected}") as refused:
        triage_settings()
    assert "s3cret" not in str(refused.value)


@pytest.mark.usefixtures("cache")
def test_a_cache_that_hangs_is_no_outage_and_is_given_up_after_some_seconds(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("TRIAGE_CACHE_REDIS_URL", f"redis://:s3cret@127.0.0.1:{silent.getsockname()[1]}/0")
        forget()
        began = time.monotonic()
        with pytest.raises(CacheAway) as failed:
            desk.do(DropCaches(table="users"))
        assert time.monotonic() - began < 4
    assert str(failed.value) == (
        "The bot's cache can't be reached (TimeoutError): look at TRIAGE_CACHE_REDIS_URL, "
        "or at the lanes' Redis if that is not set."
    )


def test_workers_drop_the_keys_after_the_commit_and_a_cache_that_is_away_stops_no_other_lane(
    redis: Redis, redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        away = f"redis://127.0.0.1:{gone.getsockname()[1]}/0"
    live = Live(
        *(redis_url, database_url, prefix, tmp_path),
        TRIAGE_CACHE_PREFIX="bot:",
        TRIAGE_CACHE_REDIS_URL=away,
        ONELANE_MAX_ATTEMPTS="2",
        ONELANE_BACKOFF_CAP_MS="50",
    )
    try:
        broken = live.start()
        for n in range(10):
            job = UpsertUser(slack_id=f"U{n}", name="N", discipline="po")
            assert live.client.enqueue(job, actor="U0ADMIN").wait(30).status == "applied"
        with psycopg.connect(database_url, autocommit=True) as connection:
            dead = "SELECT code, error_class, error FROM onelane.ledger WHERE status = 'dead'"
            eventually(lambda: connection.execute(dead).fetchone() is not None, "the drop is a dead letter")
            code, error_class, error = connection.execute(dead).fetchone() or ()
            assert (code, error_class) == ("exhausted", "CacheAway")
            assert error.startswith("The bot's cache can't be reached (ConnectionError)")
        live.kill(broken)

        del live.environment["TRIAGE_CACHE_REDIS_URL"]
        live.environment["TRIAGE_CACHE_PREFIX"] = f"{prefix}:bot:"
        redis.set(f"{prefix}:bot:disciplines:all", "old")
        live.start()
        live.client.enqueue(UpsertUser(slack_id="U0LAST", name="N", discipline="po"), actor="U0ADMIN")
        eventually(lambda: not redis.exists(f"{prefix}:bot:disciplines:all"), "the keys are in the lanes' Redis")
    finally:
        live.close()

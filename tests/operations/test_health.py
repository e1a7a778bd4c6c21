"""Health: green while jobs get done, and a clear word within two seconds when they don't, whatever hangs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from tests.operations.conftest import ROOT, environment, hanging, running_worker, until
from worker.alerts import Alerts
from worker.database import connect
from worker.embedded import start_postgres, start_redis
from worker.health import BEAT_WINDOW_SECONDS, Check, Checkup, Health
from worker.lane import Keys
from worker.migrate import migrate
from worker.settings import Settings


def look(settings: Settings) -> Health:
    return Checkup(settings).health()


def states(found: Health) -> dict[str, str]:
    return {check.name: check.state for check in found.checks}


def check(found: Health, name: str) -> Check:
    (one,) = (check for check in found.checks if check.name == name)
    return one


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is at work."""
    with running_worker(settings, tmp_path / "log") as process:
        until(lambda: states(look(settings))["workers"] == "green")
        yield process


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """With a Redis of the test's own: a bell must not call another test's worker."""
    with start_redis(tmp_path / "own", durable=False) as server:
        yield settings.model_copy(update={"redis_url": server.url})


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """A client of that one."""
    with Redis.from_url(settings.redis_url) as client:
        yield client


@contextmanager
def own_services(directory: Path, *, durable: bool = False) -> Iterator[tuple[Settings, int, int]]:
    """Settings for a Redis and a PostgreSQL of this test's own, and their process ids."""
    with (
        start_redis(directory / "r", durable=durable) as redis,
        start_postgres(directory / "p", durable=False) as postgres,
    ):
        migrate(postgres.url)
        settings = Settings(redis_url=redis.url, database_url=postgres.url, data_dir=directory)
        yield settings, redis.pid, postgres.pid


def test_all_is_green_while_jobs_get_done(tmp_path: Path) -> None:
    with own_services(tmp_path, durable=True) as (settings, _, _), running_worker(settings, tmp_path / "log"):
        found = until(lambda: (seen := look(settings)).state == "green" and seen)
        until(lambda: "1 worker," in check(look(settings), "workers").text)
    assert list(states(found)) == ["redis", "lanes", "workers", "outbox", "postgresql", "consistency", "spool"]
    assert found.seconds < 2


def test_asking_often_makes_one_heartbeat_in_a_window_and_leaves_one_row(
    settings: Settings, worker: subprocess.Popen[bytes], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.health.BEAT_WINDOW_SECONDS", 1)
    begun, looks = time.time(), 0
    batches = int(redis.hget(Keys(settings.prefix).named("tally"), "batches") or 0)
    while time.time() < begun + 3:
        assert states(look(settings))["workers"] == "green"
        looks += 1
    beats = int(redis.hget(Keys(settings.prefix).named("tally"), "batches") or 0) - batches
    windows = int(time.time()) - int(begun) + 1
    assert 3 <= beats <= windows + 1 < looks, "the fixture's own may be counted only now"
    with connect(settings) as connection:
        rows = connection.execute("SELECT job_id FROM onelane.ledger").fetchall()
    assert len(rows) == 1, "the newest"
    assert worker.poll() is None


def test_without_a_worker_it_is_down_and_the_waiting_heartbeats_do_not_pile_up(
    settings: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.health.BEAT_WINDOW_SECONDS", 1)
    lane = Keys(settings.prefix).lane("heartbeat")
    for _ in range(3):
        found = look(settings)
        assert found.state == "down"
        assert check(found, "workers").text == "0 workers, and none has applied a heartbeat within 1 s"
        assert redis.llen(lane) == 1
    assert not settings.data_dir.joinpath("spool.jsonl").exists()


def test_a_worker_that_lives_but_does_not_progress_is_down(
    settings: Settings, worker: subprocess.Popen[bytes], redis: Redis
) -> None:
    children = [child.pid for child in psutil.Process(worker.pid).children()]
    with hanging(*children):
        time_of_last_beat = BEAT_WINDOW_SECONDS + 1
        found = until(lambda: (seen := look(settings)).state == "down" and seen, time_of_last_beat + 5)
    assert check(found, "workers").state == "down"
    until(lambda: states(look(settings))["workers"] == "green")
    assert redis.llen(Keys(settings.prefix).lane("heartbeat")) == 0


def test_a_worker_with_much_to_do_is_degraded_not_down(settings: Settings, redis: Redis) -> None:
    named = Keys(settings.prefix).named
    redis.hset(named("tally"), "batches", "1")
    checkup = Checkup(settings)
    stop = time.monotonic() + 1

    asked = checkup._probes["workers"].ask()
    while time.monotonic() < stop:
        redis.hincrby(named("tally"), "batches", 1)
        time.sleep(0.01)
    (found,) = asked.result(5)
    assert (found.state, found.text) == ("degraded", "0 workers at work, but a heartbeat waits behind other jobs")


@pytest.mark.parametrize("service", ["redis", "postgresql"])
def test_a_service_that_hangs_is_named_within_two_seconds(tmp_path: Path, service: str) -> None:
    with own_services(tmp_path) as (settings, redis_pid, postgres_pid):
        checkup = Checkup(settings)
        with hanging(redis_pid if service == "redis" else postgres_pid):
            for _ in range(2):
                checkup._fresh_until = 0.0
                began = time.monotonic()
                found = checkup.health()
                assert time.monotonic() - began < 2
                assert found.state == "down"
                assert check(found, service).text == "gave no answer within 1.4 s"
            done = subprocess.run(
                [sys.executable, "-c", "from worker.cli import main; main()", "health", "--json"],
                cwd=ROOT,
                env=environment(settings),
                capture_output=True,
                check=False,
                timeout=10,
            )
            assert done.returncode == 2
            answer = json.loads(done.stdout)
            assert (answer["state"], answer["seconds"] < 2) == ("down", True)
        checkup._fresh_until = 0.0
        until(lambda: states(checkup.health())[service] == "green")


def test_a_service_that_is_away_is_named_with_what_to_do(settings: Settings) -> None:
    away = look(settings.model_copy(update={"database_url": "postgresql://me:secret@127.0.0.1:1/none"}))
    found = check(away, "postgresql")
    assert found.state == "down"
    assert found.text.startswith("PostgreSQL (none at 127.0.0.1) can't be used: ")
    assert "secret" not in str(away)
    assert found.remedy == "Start it; jobs wait in their lanes meanwhile."
    away = look(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"}))
    assert check(away, "redis").text == "Redis can't be asked (ConnectionError)"


def test_a_database_that_is_not_migrated_is_down_and_says_so(settings: Settings, empty_database_url: str) -> None:
    found = look(settings.model_copy(update={"database_url": empty_database_url}))
    assert check(found, "postgresql").remedy == "Run `onelane migrate up`."


def test_a_host_whose_release_is_older_than_the_database_can_not_check_its_tables_and_jobs_get_done(
    settings: Settings, worker: subprocess.Popen[bytes]
) -> None:
    with connect(settings) as connection:
        connection.execute("INSERT INTO onelane.migrations (name, checksum) VALUES ('9999_newer', 'x')")
    found = look(settings)
    assert (found.state, check(found, "consistency").state, check(found, "workers").state) == (
        *("degraded", "degraded", "green"),
    )
    assert check(found, "consistency").text.startswith("The database has step 9999_newer, newer than this release")
    assert worker.poll() is None


def test_what_somebody_should_look_at_is_degraded(
    settings: Settings, worker: subprocess.Popen[bytes], redis: Redis
) -> None:
    named = Keys(settings.prefix).named
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
            " enqueued_at) VALUES ('j', 'k', 'l', 1, 'a', 'd', 'dead', 'permanent', '', 'w', 1, now())"
        )
        connection.execute("ALTER TABLE current_state DROP CONSTRAINT unique_current_state")
    redis.hset(named("held"), "user:U1", "0 {}")
    settings.data_dir.joinpath("spool.jsonl").write_bytes(b"12345\n")
    Alerts(redis, Keys(settings.prefix)).begin("crash_loop", "j is a dead letter", "onelane dead list")
    found = until(lambda: (seen := look(settings)).state == "degraded" and seen)
    degraded = {check.name: check.text for check in found.checks if check.state == "degraded"}
    assert degraded.pop("incident").endswith(" UTC: j is a dead letter")
    assert "unique_current_state" in degraded.pop("consistency")
    assert degraded == {
        "redis durability": "keeps no append-only file: a crash loses jobs",
        "held lanes": "1 held",
        "dead letters": "1 wait",
        "spool": "6 bytes of jobs wait for Redis on this host",
    }
    assert worker.poll() is None


def test_a_redis_that_may_lose_jobs_is_degraded(tmp_path: Path) -> None:
    with own_services(tmp_path, durable=True) as (settings, _, _), Redis.from_url(settings.redis_url) as redis:
        redis.config_set("appendfsync", "everysec")
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.config_set("maxmemory", int(redis.info()["used_memory"] * 1.05))
        found = look(settings)
    assert check(found, "redis durability").text == "writes to disk everysec: a crash loses the last jobs"
    assert check(found, "redis eviction").text == "evicts jobs when its memory is full (allkeys-lru)"
    assert check(found, "redis memory").remedy == "Raise `maxmemory`; when it is full, jobs go to the spool."


def test_a_spool_that_can_not_be_looked_at_is_down(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = check(look(settings.model_copy(update={"data_dir": tmp_path / "file"})), "spool")
    assert found.state == "down"
    assert found.text == (
        f"The spool in {tmp_path}/file can't be used (Not a directory): mend that, or name another directory in "
        "ONELANE_DATA_DIR."
    )


def test_many_who_ask_at_once_get_one_answer(settings: Settings) -> None:
    checkup = Checkup(settings)
    first = checkup.health()
    assert checkup.health() is first
    checkup._fresh_until = 0.0
    assert checkup.health() is not first

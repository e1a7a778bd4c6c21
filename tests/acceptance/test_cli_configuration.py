"""Services that can't be used as configured: one sentence that says what to do, exit code 2, and never a password."""

import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tests.acceptance.onelane import Onelane
from worker.embedded import start_postgres, start_redis
from worker.migrate import down, migrate

ENQUEUE = ("enqueue", "user.upsert", "slack_id=U0EXAMPLE01", "name=A", "discipline=po", "--actor", "U0EXAMPLE09")
PASSWORD = "s3cret-hunter2"
NO_REDIS = "No Redis is configured: set ONELANE_REDIS_URL, or run `onelane up` in this directory.\n"
NO_POSTGRESQL = "No PostgreSQL is configured: set ONELANE_DATABASE_URL, or run `onelane up` in this directory.\n"


@pytest.fixture
def bare(tmp_path: Path) -> Onelane:
    """Commands in an empty directory, with nothing configured."""
    return Onelane(tmp_path)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The URLs of a Redis and of a PostgreSQL that want a password, with a `%s` for it."""
    folder = tmp_path_factory.mktemp("locked")
    with (
        start_redis(folder / "redis", durable=False) as redis,
        start_postgres(folder / "pg", durable=False) as postgres,
    ):
        with Redis.from_url(redis.url) as client:
            client.config_set("requirepass", "right")
        rules = folder / "pg" / "cluster" / "pg_hba.conf"
        rules.write_text("local all bot scram-sha-256\n" + rules.read_text())
        with psycopg.connect(postgres.url, autocommit=True) as database:
            database.execute("CREATE ROLE bot LOGIN PASSWORD 'right'")
            database.execute("SELECT pg_reload_conf()")
        yield redis.url.replace("unix://", "unix://:%s@"), postgres.url.replace("postgres@", "bot:%s@", 1)


def refused(onelane: Onelane, *commands: Sequence[str]) -> list[str]:
    """What commands say that can't do their work as things are configured: one line each, without a password."""
    for done in (ended := onelane.side_by_side(*commands)):
        assert (done.code, done.out) == (2, ""), done
        assert done.err.count("\n") == 1, done.err
        assert not any(piece in done.err for piece in (PASSWORD, *re.split(r"\W", PASSWORD)))
    return [done.err for done in ended]


LANES, JOB, CANCEL = ("lanes",), ("job", "x"), ("cancel", "x")
WORKER, FLUSH, SKIP = ("worker",), ("spool", "flush"), ("lane", "skip", "x")
LIST, REPLAY = ("dead", "list"), ("dead", "replay", "--all")
WAIT, UP, MIGRATE, FILE = (
    ("lanes", "--wait-empty", "0"),
    ("up", "--no-flower"),
    ("migrate", "up"),
    ("enqueue", "--file", "-"),
)


def test_no_url_and_no_up(bare: Onelane) -> None:
    assert refused(bare, LANES, JOB, CANCEL, WORKER, FLUSH, ENQUEUE) == [NO_REDIS] * 6


def test_no_url_of_the_database_alone(bare: Onelane, redis_url: str) -> None:
    onelane = bare.with_settings(ONELANE_REDIS_URL=redis_url)
    assert refused(onelane, WORKER, JOB, SKIP, MIGRATE, LIST, REPLAY) == [NO_POSTGRESQL] * 6


NO_REDIS_URL = (
    "ONELANE_REDIS_URL is not a Redis URL; expected redis://user:password@host:port/number (or rediss://, unix"
)
REDIS_URLS = {
    f"http://:{PASSWORD}@localhost": NO_REDIS_URL,
    f"redis://:{PASSWORD}@localhost:port/0": NO_REDIS_URL,
    f"redis://:{PASSWORD}@localhost:1/0": "Redis at localhost:1 can't be reached (ConnectionError); is it running?\n",
    f"unix://:{PASSWORD}@/nowhere/redis.sock": "Redis at /nowhere/redis.sock can't be reached (ConnectionError); is it",
    f"unix:///nowhere/redis.sock?password={PASSWORD}": "Redis at /nowhere/redis.sock can't be reached",
    f"redis://:{PASSWORD}/x@localhost/0": NO_REDIS_URL,
}


@pytest.mark.parametrize("url", REDIS_URLS)
def test_a_wrong_url_of_redis(bare: Onelane, url: str) -> None:
    onelane = bare.with_settings(ONELANE_REDIS_URL=url, ONELANE_DATABASE_URL="postgresql://u@localhost:1/x")
    assert refused(onelane, LANES)[0].startswith(REDIS_URLS[url])


DATABASE_URLS = {
    f"mysql://u:{PASSWORD}@localhost/x": "ONELANE_DATABASE_URL is not a PostgreSQL URL; expected postgresql://user:pas",
    "nonsense": "ONELANE_DATABASE_URL is not a PostgreSQL URL; expected postgresql://user:password@host:port/database.\n",
    f"postgresql://u:{PASSWORD}@localhost:1/x": "PostgreSQL (x at localhost) can't be used: connection to server at",
    f"postgresql://u:{PASSWORD}@/x?host=/nowhere": "PostgreSQL (x at /nowhere) can't be used: connection",
    f"host=/nowhere dbname=x password={PASSWORD}": "PostgreSQL (x at /nowhere) can't be used: connection",
    f"postgresql://u:{PASSWORD}/x@localhost:1/x": "PostgreSQL (",
}


@pytest.mark.parametrize("url", DATABASE_URLS)
def test_a_wrong_url_of_postgresql(bare: Onelane, redis_url: str, prefix: str, url: str) -> None:
    onelane = bare.with_settings(ONELANE_REDIS_URL=redis_url, ONELANE_DATABASE_URL=url, ONELANE_PREFIX=prefix)
    for said in refused(onelane, JOB, LIST, REPLAY):
        assert said.startswith(DATABASE_URLS[url])
        assert "Is the server running" not in said


def test_a_wrong_password(bare: Onelane, locked: tuple[str, str]) -> None:
    redis_url, database_url = locked
    wrong = bare.with_settings(ONELANE_REDIS_URL=redis_url % PASSWORD, ONELANE_DATABASE_URL=database_url % PASSWORD)
    no_redis = "Redis refuses the user or password in ONELANE_REDIS_URL.\n"
    assert refused(wrong, WORKER, JOB, ENQUEUE, UP) == [no_redis] * 4
    assert not (wrong.directory / ".onelane" / "spool.jsonl").exists()
    missing = bare.with_settings(ONELANE_REDIS_URL=redis_url.replace(":%s@", ""))
    assert refused(missing, ENQUEUE) == [no_redis]

    half = wrong.with_settings(ONELANE_REDIS_URL=redis_url % "right")
    for said in refused(half, WORKER, JOB, WAIT, MIGRATE, LIST, REPLAY):
        assert 'password authentication failed for user "bot"' in said


def test_a_database_that_is_not_migrated(bare: Onelane, redis_url: str, prefix: str, empty_database_url: str) -> None:
    onelane = bare.with_settings(
        ONELANE_REDIS_URL=redis_url, ONELANE_DATABASE_URL=empty_database_url, ONELANE_PREFIX=prefix
    )
    sentence = r"The database lacks the migration 0001_engine and \d+ more: run `onelane migrate up`\.\n"
    assert all(re.fullmatch(sentence, said) for said in refused(onelane, WORKER, JOB, CANCEL, SKIP, WAIT, LIST, REPLAY))


def test_dead_letters_of_a_database_that_lacks_a_step_are_looked_at_but_not_touched(
    bare: Onelane, redis_url: str, prefix: str, empty_database_url: str
) -> None:
    migrate(empty_database_url)
    down(empty_database_url)
    onelane = bare.with_settings(
        ONELANE_REDIS_URL=redis_url, ONELANE_DATABASE_URL=empty_database_url, ONELANE_PREFIX=prefix
    )
    kept = bare.directory / "kept.jsonl"
    kept.write_text("of an earlier export\n")
    export, import_ = ("dead", "export", "--file", str(kept)), ("dead", "import", str(kept))
    for said in refused(onelane, REPLAY, ("dead", "discard", "--all"), export, import_):
        assert re.fullmatch(r"The database lacks the migration \w+: run `onelane migrate up`\.\n", said)
    assert kept.read_text() == "of an earlier export\n"
    listed = onelane(*LIST)
    assert (listed.code, listed.out, listed.err) == (0, "", "There is no dead letter.\n")


def test_a_directory_that_can_not_be_written(bare: Onelane) -> None:
    blocked = bare.with_settings(ONELANE_DATA_DIR="/dev/null/data")
    (sentence,) = refused(blocked, UP)
    assert sentence == (
        "/dev/null/data can't be written (Not a directory): run `onelane up` in another directory, or set "
        "ONELANE_DATA_DIR to another one.\n"
    )


def test_a_redis_that_evicts_keys(bare: Onelane, tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis", durable=False) as server, Redis.from_url(server.url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        onelane = bare.with_settings(ONELANE_REDIS_URL=server.url, ONELANE_DATABASE_URL="postgresql://u@localhost:1/x")
        for said in refused(onelane, LANES, WORKER, ENQUEUE, FILE, UP):
            assert said.startswith(
                "Redis would evict jobs when its memory is full (maxmemory-policy is allkeys-lru): run"
            )
        assert redis.dbsize() == 0


def test_a_setting_that_is_not_as_it_must_be(bare: Onelane, redis_url: str) -> None:
    onelane = bare.with_settings(ONELANE_REDIS_URL=redis_url, ONELANE_LANE_LIMIT="many")
    assert "ONELANE_LANE_LIMIT: Input should be a valid integer" in refused(onelane, LANES)[0]
    onelane = bare.with_settings(ONELANE_REDIS_URL=redis_url, ONELANE_TASKS="no_such_module")
    assert refused(onelane, ENQUEUE)[0].startswith("ONELANE_TASKS names 'no_such_module', which can't be imported")


@pytest.mark.parametrize("url", [f"redis://:{PASSWORD}@localhost:1/0", f"redis://:{PASSWORD}/x@localhost/0"])
def test_the_password_of_the_bots_cache(bare: Onelane, redis_url: str, prefix: str, url: str) -> None:
    """Its Redis has a setting of its own, and a module's setting is hidden as the engine's are."""
    onelane = bare.with_settings(ONELANE_REDIS_URL=redis_url, ONELANE_PREFIX=prefix, TRIAGE_CACHE_REDIS_URL=url)
    done = onelane("lane", "show", f"user:{PASSWORD}")
    assert (done.code, done.out, done.err) == (1, "", "No job waits in a lane 'user:…'; see `onelane lanes`.\n")


def test_a_redis_that_hangs_is_not_waited_for(bare: Onelane, tmp_path: Path) -> None:
    with start_redis(tmp_path / "redis", durable=False) as server:
        onelane = bare.with_settings(ONELANE_REDIS_URL=server.url, ONELANE_REDIS_TIMEOUT_MS="200")
        os.kill(server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert refused(onelane, LANES)[0].startswith("Redis at ")
            done = onelane(*ENQUEUE)
            assert (done.code, "waits in this host's spool" in done.out) == (0, True)
            assert time.monotonic() - began < 10
        finally:
            os.kill(server.pid, signal.SIGCONT)

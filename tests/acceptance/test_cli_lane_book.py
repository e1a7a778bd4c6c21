"""The lane book: what stands in the lanes, read from indexes, however many lanes there are."""

import random
import resource
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.acceptance.onelane import ONELANE, Onelane
from worker import lane_book
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import LaneBook, moment
from worker.settings import Settings

HOUR_US = 3_600_000_000
Put = Callable[..., None]


@pytest.fixture
def keys(prefix: str) -> Keys:
    """The keys of a partition of this test's own."""
    return Keys(prefix)


@pytest.fixture
def book(redis: Redis, keys: Keys) -> LaneBook:
    """Its book."""
    return LaneBook(redis, keys)


@pytest.fixture
def now(redis: Redis) -> int:
    """Redis' time, µs."""
    seconds, micros = redis.time()  # type: ignore[misc]  # redis-py types both its clients
    return int(seconds * 1_000_000 + micros)


@pytest.fixture
def put(redis: Redis, keys: Keys) -> Put:
    """Make a lane with so many jobs, in an index."""

    def one(name: str, jobs: int, index: str | None = "ready", at: int = 0) -> None:
        for n in range(jobs):
            redis.rpush(keys.lane(name), f"{name}-{n}")
            redis.hset(keys.named("pending"), f"{name}-{n}", f"d {name}")
        if index is not None:
            redis.zadd(keys.named(index), {name: at})

    return one


def test_each_lane_is_in_one_state_and_the_totals_add_up(
    redis: Redis, keys: Keys, book: LaneBook, put: Put, now: int
) -> None:
    put("ready", 1, at=now - HOUR_US)
    put("parked", 2, at=now + HOUR_US)
    put("claimed", 3, "claimed", now + HOUR_US)
    put("by hand", 4, None)
    put("held", 5, None)
    put("held-till", 6, at=now + HOUR_US)
    redis.hset(keys.named("held"), "held", '0 {"by":"U1","why":"x","at":1700000000.5}')
    redis.hset(keys.named("held"), "held-till", f"{now + HOUR_US} no JSON")
    redis.hset(keys.named("attempts"), "parked", "2 1700000000000000")
    redis.hset(keys.named("tokens"), "claimed", "77:1")

    totals = book.totals()
    counts = (totals.jobs, totals.ready, totals.parked, totals.held, totals.claimed, totals.oldest)
    assert counts == (21, 1, 1, 2, 1, moment(now - HOUR_US))
    states = {name: book.lane(name).state for name in ("ready", "parked", "claimed", "held", "held-till")}
    assert states == {"ready": "ready", "parked": "parked", "claimed": "claimed", "held": "held", "held-till": "held"}
    assert (book.lane("claimed").token, book.lane("claimed").lease_end) == (77, moment(now + HOUR_US))
    assert (book.lane("parked").attempts, book.lane("parked").first_attempt) == (2, moment(1_700_000_000_000_000))
    hold = book.lane("held").hold
    assert hold == lane_book.Hold("x", "U1", datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC), None)
    assert book.lane("held-till").hold == lane_book.Hold("no JSON", None, None, moment(now + HOUR_US))

    found = book.overview(10)
    assert found.looked_at == 5  # all but the one that no index knows
    sections = [[lane.name for lane in section] for section in (found.held, found.parked, found.oldest, found.deepest)]
    assert sections == [
        ["held", "held-till"],
        ["parked"],
        ["ready"],
        ["held-till", "held", "claimed", "parked", "ready"],
    ]


def test_a_lane_that_was_filled_by_hand_is_called_by_retry_now(
    redis: Redis, redis_url: str, prefix: str, book: LaneBook, put: Put
) -> None:
    put("page:p", 1, None)
    assert book.lane("page:p").state == "unlisted"
    assert Interventions(redis, Settings(redis_url=redis_url, prefix=prefix), "U1").retry_now("page:p") == "due"
    assert book.lane("page:p").state == "ready"


@pytest.mark.parametrize("seed", range(5))
def test_the_deepest_are_the_deepest_of_those_that_were_looked_at(
    redis: Redis, keys: Keys, book: LaneBook, now: int, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    lengths = {f"page:{n:03}": dice.randint(1, 12) for n in range(100)}
    with redis.pipeline(transaction=False) as pipeline:
        for n, (name, length) in enumerate(lengths.items()):
            pipeline.rpush(keys.lane(name), *["x"] * length)
            pipeline.zadd(keys.named("ready"), {name: now + n})
        pipeline.execute()

    def deepest(names: list[str]) -> list[str]:
        return sorted(names, key=lambda name: (-lengths[name], name))[:4]

    for lanes_a_page in (1000, 20):
        monkeypatch.setattr(lane_book, "PAGE", lanes_a_page)
        found = book.overview(4)
        assert found.looked_at == 100
        assert [lane.jobs for lane in found.deepest] == [lengths[name] for name in deepest(list(lengths))]

    monkeypatch.setattr(lane_book, "LOOK", 40)  # the first and the last twenty
    found = book.overview(4)
    seen = [*list(lengths)[:20], *list(lengths)[80:]]
    assert found.looked_at == 40
    assert [lane.jobs for lane in found.deepest] == [lengths[name] for name in deepest(seen)]


def test_lanes_costs_half_a_second_more_at_most_with_100_000_lanes_and_a_deep_backlog(
    redis: Redis, redis_url: str, keys: Keys, prefix: str, now: int, tmp_path: Path
) -> None:
    onelane = Onelane(tmp_path, ONELANE_REDIS_URL=redis_url, ONELANE_PREFIX=prefix)
    few = min(seconds_of(onelane, redis, "lanes", "--json") for _ in range(3))
    try:
        with redis.pipeline(transaction=False) as pipeline:
            for n in range(100_000):
                name = f"user:U{n:08}"
                pipeline.rpush(keys.lane(name), "x")
                pipeline.zadd(keys.named("ready"), {name: now - n if n % 2 else now + HOUR_US + n})
                if n % 5000 == 0:
                    pipeline.execute()
            pipeline.rpush(keys.lane("user:U00070000"), *["x"] * 200_000)
            for n in range(10_000):
                held = f"sprint:{n}"
                pipeline.rpush(keys.lane(held), "x")
                pipeline.hset(keys.named("held"), held, '0 {"by":"U1","why":"x","at":1.5}')
            pipeline.execute()
        found = onelane("lanes", "--json").json
        assert (found["deepest"][0]["lane"], found["deepest"][0]["jobs"]) == ("user:U00070000", 200_001)
        assert found["looked_at"] >= 100_000
        assert found["totals"]["held"] == 10_000
        for words in (("lanes", "--json"), ("lane", "show", "user:U00070000")):
            many = min(seconds_of(onelane, redis, *words) for _ in range(5))
            assert many < few + 0.5, f"{few:.2f} s with no lane, {many:.2f} s with 110,000"
    finally:
        with redis.pipeline(transaction=False) as pipeline:
            for n in range(100_000):
                pipeline.unlink(keys.lane(f"user:U{n:08}"))
            for n in range(10_000):
                pipeline.unlink(keys.lane(f"sprint:{n}"))
            pipeline.unlink(keys.named("ready"), keys.named("held"))
            pipeline.execute()


def seconds_of(onelane: Onelane, redis: Redis, *words: str) -> float:
    """How much CPU time a command takes, its own and that of Redis; what else runs on this machine takes time too."""

    def used() -> float:
        ours, of_redis = resource.getrusage(resource.RUSAGE_CHILDREN), redis.info("cpu")
        return ours.ru_utime + ours.ru_stime + of_redis["used_cpu_user"] + of_redis["used_cpu_sys"]

    began = used()
    command = [ONELANE, *words]  # not forked, so that we are its parent
    subprocess.run(command, cwd=onelane.directory, env=onelane.environment, capture_output=True, check=True)
    return used() - began

"""replay.lua: a dead letter's place in its lane, held against a list that is simply sorted."""

import random
import re
from typing import Any

import pytest

from tests.integration.kinds import Write
from tests.integration.notebook import Notebook

LANE = "page:p"


def body(number: int) -> bytes:
    return b'{"seq":%d,"job":"j%d"}' % (number, number)


def fill(notebook: Notebook, jobs: list[bytes]) -> None:
    notebook.redis.delete(notebook.keys.lane(LANE))
    notebook.redis.delete(notebook.keys.named("pending"))
    for start in range(0, len(jobs), 10_000):
        notebook.redis.rpush(notebook.keys.lane(LANE), *jobs[start : start + 10_000])


def put_back(notebook: Notebook, numbers: list[int]) -> list[Any]:
    args: list[Any] = []
    for number in numbers:
        args += (LANE, f"j{number}", "d", number, body(number))
    answer: list[Any] = notebook.script("replay", *args)
    return answer


def lane(notebook: Notebook) -> list[bytes]:
    found: Any = notebook.redis.lrange(notebook.keys.lane(LANE), 0, -1)
    return list(found)


@pytest.mark.parametrize("seed", range(6))
def test_each_stands_before_the_first_with_a_higher_number(notebook: Notebook, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        everything = chance.sample(range(1, 500), chance.randint(1, 60))
        cut = chance.randint(0, len(everything))
        waiting, back = sorted(everything[:cut]), sorted(everything[cut:])
        fill(notebook, [body(number) for number in waiting])
        put_back(notebook, back)
        assert lane(notebook) == [body(number) for number in sorted(everything)]


def test_bytes_that_are_no_job_stay_where_they_are(notebook: Notebook) -> None:
    fill(notebook, [b"?", body(10), b"x", b"y", body(20), b"z"])
    put_back(notebook, [5, 10, 15, 30])
    expected = [b"?", body(5), body(10), b"x", b"y", body(10), body(15), body(20), b"z", body(30)]
    assert lane(notebook) == expected


def test_a_lane_of_bytes_that_are_no_jobs_takes_them_at_its_end(notebook: Notebook) -> None:
    fill(notebook, [b"x"] * 50)
    put_back(notebook, [1, 2])
    assert lane(notebook) == [b"x"] * 50 + [body(1), body(2)]


def test_a_long_lane_takes_many_into_its_middle(notebook: Notebook) -> None:
    everything = list(range(1, 60_001))
    back = everything[20_000:20_500] + everything[40_000:40_500]
    fill(notebook, [body(number) for number in sorted(set(everything) - set(back))])
    put_back(notebook, back)
    assert lane(notebook) == [body(number) for number in everything]


def test_the_same_call_again_changes_nothing(notebook: Notebook) -> None:
    fill(notebook, [body(3)])
    put_back(notebook, [1, 2])
    put_back(notebook, [1, 2])
    assert lane(notebook) == [body(1), body(2), body(3)]


def test_a_new_head_begins_with_a_clean_memory_and_at_once(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="a"))
    memory = {"attempts": b"3 17", "crashes": b"2"}
    for name, value in memory.items():
        notebook.redis.hset(notebook.keys.named(name), LANE, value)
    notebook.redis.zadd(notebook.keys.named("ready"), {LANE: 9e15})
    put_back(notebook, [1])
    assert notebook.head_memory(LANE) == (0, 0)
    assert float(notebook.redis.zscore(notebook.keys.named("ready"), LANE) or 0) < 9e15


def test_a_head_that_stays_goes_on_waiting_for_its_backoff(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="a"))
    (head,) = lane(notebook)
    found = re.match(rb'{"seq":(\d+)', head)
    assert found
    notebook.redis.hset(notebook.keys.named("attempts"), LANE, "3 17")
    notebook.redis.zadd(notebook.keys.named("ready"), {LANE: 9e15})
    put_back(notebook, [int(found[1]) + 1])
    assert notebook.head_memory(LANE) == (3, 0)
    assert notebook.redis.zscore(notebook.keys.named("ready"), LANE) == 9e15


def test_only_the_claimed_ones_of_many_lanes_are_left_as_they_are(notebook: Notebook) -> None:
    for page in "abc":
        notebook.enqueue(Write(page=page, text="x"))
    notebook.redis.zrem(notebook.keys.named("ready"), "page:a", "page:c")
    claim = notebook.worker().claimer().claim()
    assert [lane.name for lane in claim.lanes] == ["page:b"]  # type: ignore[union-attr]
    args = [part for page in "abc" for part in (f"page:{page}", f"j{page}", "d", 1, body(1))]
    _, *busy = notebook.script("replay", *args)
    assert busy == [b"page:b"]
    assert [notebook.redis.llen(notebook.keys.lane(f"page:{page}")) for page in "abc"] == [2, 1, 2]

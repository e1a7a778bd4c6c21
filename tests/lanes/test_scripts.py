"""Single steps of the scripts that a random walk meets too seldom."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.lanes.contract import contract, piece
from tests.lanes.model import HOUR_US
from worker.acknowledge import Park, Settled, acknowledge
from worker.lane import Keys
from worker.script import Call, run_all
from worker.settings import Settings

TIMES = {"lease_us": HOUR_US, "linger_us": HOUR_US, "slice_us": HOUR_US}


class Desk:
    """Calls scripts on a partition of its own."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self.redis, self.keys = redis, Keys(prefix)

    def call(self, script: str, each: list[tuple[Any, ...]] | None = None, /, **values: Any) -> Any:
        """Call a script by the names in its header."""
        return contract(script).call(self.redis, self.keys, each, **values)

    def enqueue(self, lane: str, *ids: str) -> int:
        """Queue jobs; whether the bell must be rung."""
        each = [(job_id, lane, "d", b'{"id":"%s"}' % job_id.encode()) for job_id in ids]
        return int(self.call("enqueue", each, lane_limit=1000, total_limit=1000)[0])

    def claim(self, drain: str, number: int = 1, lanes: int = 10, jobs: int = 10) -> Any:
        """Claim for a drain."""
        counts = {"lane_count": lanes, "job_count": jobs, "byte_count": 1000}
        values = {"drain": drain, "number": number, "begin": int(number == 1), **counts, **TIMES}
        return self.call("claim", **values, of={"grant": drain})

    def acknowledge(self, lane: str, token: bytes, upto: int, *ids: str, keep: bool = False) -> bytes:
        """Acknowledge jobs."""
        values = {"name": lane, "token": token, "upto": upto, "keep": int(keep), "outcome_ms": 1000}
        return bytes(self.call("acknowledge", [(i, b"d {}") for i in ids], **values, of={"lane": lane}))

    def leave(self, drain: str) -> int:
        """A drain ends."""
        return int(self.call("leave", drain=drain, of={"grant": drain}))

    def due(self, patience_us: int) -> int:
        """The timer asks."""
        return int(self.call("due", anyway=0, patience_us=patience_us))

    def ids(self, lane: str) -> list[str]:
        """The jobs of a lane."""
        found: Any = self.redis.lrange(self.keys.lane(lane), 0, -1)
        return [job.decode().split('"')[-2] for job in found]


@pytest.fixture
def desk(redis: Redis, prefix: str) -> Desk:
    return Desk(redis, prefix)


def test_jobs_are_acknowledged_part_by_part_and_repetitions_take_nothing_off(desk: Desk) -> None:
    desk.enqueue("a", *(f"j{n}" for n in range(8)))
    token = desk.claim("d", jobs=5)[2]
    for _ in range(2):
        assert desk.acknowledge("a", token, 2, "j0", "j1", keep=True) == b"kept"
        assert desk.ids("a") == [f"j{n}" for n in range(2, 8)]
    for _ in range(2):
        assert desk.acknowledge("a", token, 4, "j2", "j3", keep=True) == b"kept"
    assert desk.acknowledge("a", token, 2, "j0", "j1", keep=True) == b"kept"
    assert desk.acknowledge("a", token, 5, "j4") == b"released"
    assert desk.ids("a") == ["j5", "j6", "j7"]
    assert desk.acknowledge("a", token, 5, "j4") == b"lost"


def test_a_drain_that_leaves_ready_lanes_behind_has_another_one_called_once(desk: Desk) -> None:
    desk.enqueue("a", "j0", "j1")
    token = desk.claim("d", jobs=1)[2]
    assert desk.acknowledge("a", token, 1, "j0") == b"released"
    assert desk.leave("d") == 1
    assert desk.leave("d") == 0
    assert desk.enqueue("b", "j2") == 0


def test_a_drain_that_leaves_nothing_behind_calls_nobody(desk: Desk) -> None:
    desk.enqueue("a", "j0")
    token = desk.claim("d")[2]
    desk.acknowledge("a", token, 1, "j0")
    assert desk.leave("d") == 0


def test_one_bell_is_enough_for_any_number_of_jobs_until_a_drain_has_begun(desk: Desk) -> None:
    assert [desk.enqueue("a", "j0"), desk.enqueue("b", "j1"), desk.enqueue("c", "j2")] == [1, 0, 0]
    assert desk.claim("d")[1] == 0
    assert desk.enqueue("e", "j3") == 1


def test_a_claim_that_leaves_ready_lanes_to_others_calls_one(desk: Desk) -> None:
    desk.enqueue("a", "j0")
    desk.enqueue("b", "j1")
    assert desk.claim("d", lanes=1)[1] == 1
    assert desk.claim("e", lanes=1)[1] == 0


def test_a_bell_that_nobody_answers_is_rung_again_after_some_patience_and_not_before(desk: Desk) -> None:
    assert desk.enqueue("a", "j0") == 1
    assert desk.due(HOUR_US) == 0
    assert desk.due(0) == 1
    assert desk.due(HOUR_US) == 0


def test_a_bell_is_not_rung_again_while_a_drain_is_at_work(desk: Desk) -> None:
    desk.enqueue("a", "j0")
    desk.enqueue("b", "j1")
    assert desk.claim("d", lanes=1)[1] == 1
    assert desk.due(0) == 0
    desk.leave("d")
    assert desk.due(0) == 1


def test_a_lingering_drain_is_woken_and_no_bell_is_rung(desk: Desk) -> None:
    desk.enqueue("a", "j0")
    token = desk.claim("d")[2]
    desk.acknowledge("a", token, 1, "j0")
    assert desk.claim("d", number=2)[0] == b"empty"
    assert [desk.enqueue("a", "j1"), desk.enqueue("b", "j2")] == [0, 0]
    assert desk.redis.llen(desk.keys.named("wake")) == 1
    assert desk.claim("d", number=3)[0] == b"claimed"
    assert desk.enqueue("c", "j3") == 1


def test_a_claim_takes_so_many_bytes_but_always_each_head(desk: Desk) -> None:
    for lane in ("a", "b"):
        desk.enqueue(lane, *(f"{lane}{n}{'x' * 400}" for n in range(5)))
    answer = desk.claim("d", jobs=100)
    assert {answer[4]: len(answer[7]), answer[8]: len(answer[11])} == {b"a": 2, b"b": 1}


@pytest.mark.parametrize(("last", "first"), [(None, 5), (4, 5), (5, 6), (8, 9)])
def test_numbers_go_on_above_the_last_one_and_never_below_the_time(desk: Desk, last: int | None, first: int) -> None:
    clock = desk.keys.named("clock")
    if last is not None:
        desk.redis.set(clock, last)
    ask = f"{piece('clock')} return take_numbers(KEYS[1], 5, 2)"
    assert desk.redis.eval(ask, 1, clock) == first
    assert desk.redis.get(clock) == b"%d" % (first + 1)


def test_a_clock_that_is_ahead_of_the_time_gives_each_job_the_next_number(desk: Desk) -> None:
    clock = desk.keys.named("clock")
    seconds, micros = desk.redis.time()  # type: ignore[misc]  # redis-py's types allow an awaitable
    ahead = seconds * 1_000_000 + micros + HOUR_US
    desk.redis.set(clock, ahead)
    desk.enqueue("a", "1", "2", "3")
    desk.enqueue("a", "4")
    jobs: Any = desk.redis.lrange(desk.keys.lane("a"), 0, -1)
    assert [json.loads(job)["seq"] - ahead for job in jobs] == [1, 2, 3, 4]
    assert desk.redis.get(clock) == b"%d" % (ahead + 4)


def test_a_clock_that_was_lost_goes_on_above_the_floor_that_a_worker_names(desk: Desk) -> None:
    desk.enqueue("a", "j0")
    token = desk.claim("d")[2]
    floor = int(token) + 10 * HOUR_US
    values = {"name": "a", "token": token, "delay_us": 0, "attempts": "", "floor": floor}
    assert desk.call("park", **values, of={"lane": "a"}) == b"parked"
    assert int(desk.claim("d", number=2)[2]) > floor


def test_scripts_that_redis_has_forgotten_do_not_let_others_of_their_pipeline_overtake_them(desk: Desk) -> None:
    desk.enqueue("a", "j0", "j1")
    token = desk.claim("d")[2]
    desk.redis.script_flush()
    another = {"name": "a", "token": 0, "delay_us": 0, "attempts": "", "floor": 0}
    assert desk.call("park", **another, of={"lane": "a"}) == b"lost"
    answers = run_all(
        desk.redis,
        desk.keys,
        [
            Call("acknowledge", ("a", token, 1, 1, 1000, "j0", b"d {}"), {"lane": "a"}),
            Call("park", ("a", token, 0, "1 5", 0), {"lane": "a"}),
        ],
    )
    assert answers == [b"kept", b"parked"]
    assert desk.ids("a") == ["j1"]


@pytest.mark.parametrize("number", [1, 2000, 9000])
def test_any_number_of_jobs_that_a_claim_may_have_is_acknowledged(desk: Desk, number: int) -> None:
    ids = [f"j{n}" for n in range(number)]
    each = [(job_id, "a", "d", b'{"id":"%s"}' % job_id.encode()) for job_id in ids]
    desk.call("enqueue", each, lane_limit=10_000, total_limit=10_000)
    token = desk.claim("d", jobs=number)[2]
    assert desk.acknowledge("a", token, number, *ids) == b"released"
    assert desk.ids("a") == []
    assert desk.redis.exists(desk.keys.named("pending")) == 0


def test_nothing_to_acknowledge_is_no_call(desk: Desk) -> None:
    acknowledge(desk.redis, desk.keys, Settings(), 1, [])
    acknowledge(desk.redis, desk.keys, Settings(), 1, [Settled("a", then=Park(0))])
    assert desk.redis.keys(f"{desk.keys.named('')}*") == []


def test_many_lanes_are_given_back_in_one_transaction(desk: Desk) -> None:
    def transactions() -> int:
        return int(desk.redis.info("commandstats").get("cmdstat_exec", {"calls": 0})["calls"])

    lanes = [f"lane{n}" for n in range(50)]
    for lane in lanes:
        desk.enqueue(lane, lane)
    token = int(desk.claim("d", lanes=50, jobs=50)[2])
    before = transactions()
    acknowledge(desk.redis, desk.keys, Settings(), token, [Settled(lane, then=Park(0)) for lane in lanes])
    assert transactions() == before + 1
    assert desk.claim("d", 2, lanes=50, jobs=50)[0] == b"claimed"

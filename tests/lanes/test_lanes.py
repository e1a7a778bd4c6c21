"""The real scripts on a real Redis against a plain model: whatever happens in whatever order, no job is lost, none ends
twice, none passes another, and nobody waits for ever.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from tests.lanes.contract import contract
from tests.lanes.model import HOUR_US, ModelClaim, ModelJob, ModelLane
from worker.lane import Keys

LANES = ["a", "b", "c", "d"]
DRAINS = ["d1", "d2", "d3"]
LANE_LIMIT, TOTAL_LIMIT = 6, 14
NOTE = '{"by":"U0","why":"test"}'

SCRIPTS = {
    name: contract(name)
    for name in (
        *("enqueue", "claim", "acknowledge", "park", "hold", "resume", "retry"),
        *("cancel", "replay", "take", "leave", "due"),
    )
}

lanes = st.sampled_from(LANES)
drains = st.sampled_from(DRAINS)
picks = st.integers(0, 1_000_000)


@dataclass
class Holder:
    """Somebody who was given lanes: a drain's claim, or a person's."""

    token: int
    given: dict[str, list[ModelJob]]
    """The jobs of each lane."""
    answered: bool = False
    """Whether it has given anything back: then it had its answer, and does not ask again."""


@dataclass
class ModelDrain:
    """A drain: alive from its first claim to its end. No two have one name."""

    name: str
    number: int = 0
    last: Holder | None = None
    lingers: bool = False
    ask: Callable[[], Any] | None = field(default=None, repr=False)
    """Its last claim, to be called again."""

    @property
    def may_repeat(self) -> bool:
        """Whether the reply to its last claim may have been lost."""
        return self.last is not None and not self.lingers and not self.last.answered


class LaneMachine(RuleBasedStateMachine):
    """What callers do, what may go wrong, and what must always hold."""

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.redis = redis

    @initialize()
    def begin(self) -> None:
        self.keys = Keys(f"m{uuid4().hex[:12]}")
        self.lanes = {name: ModelLane(name) for name in LANES}
        self.drains: dict[str, ModelDrain] = {}
        self.holders: list[Holder] = []
        self.issued: dict[str, tuple[str, str]] = {}
        self.ended: dict[str, ModelJob] = {}
        self.outcomes: dict[str, str] = {}
        self.cancelled: set[str] = set()
        self.times_ended: dict[str, int] = {}
        self.times_queued: dict[str, int] = {}
        self.newest_number = 0
        self.people = self.ids = 0
        self.messages = 0
        """Bells that were rung and that no drain has answered yet."""
        self.bell_was_lost = False

    # What callers do

    def call(self, script: str, each: list[tuple[Any, ...]] | None = None, **values: Any) -> Any:
        return SCRIPTS[script].call(self.redis, self.keys, each, **values)

    def key(self, name: str) -> str:
        return self.keys.named(name)

    def enqueue(self, each: list[tuple[str, str, str]]) -> list[str]:
        """Enqueue (id, lane, digest) in one call; the words."""
        orders = [(i, lane, digest, b'{"id":"%s","kind":"k"}' % i.encode()) for i, lane, digest in each]
        ring, *words = self.call("enqueue", orders, lane_limit=LANE_LIMIT, total_limit=TOTAL_LIMIT)
        self.messages += ring
        return [word.decode() for word in words]

    def expected_word(self, job_id: str, lane: str, digest: str) -> str:
        waiting = {job.id: job.digest for each in self.lanes.values() for job in each.jobs}
        if job_id in waiting:
            return "duplicate" if waiting[job_id] == digest else "reused"
        if job_id in self.outcomes:
            return "done" if self.outcomes[job_id] == digest else "reused"
        if len(waiting) >= TOTAL_LIMIT:
            return "full"
        return "lane_full" if len(self.lanes[lane].jobs) >= LANE_LIMIT else "queued"

    def check_enqueue(self, each: list[tuple[str, str, str]]) -> None:
        for order, word in zip(each, self.enqueue(each), strict=True):
            job_id, name, digest = order
            assert word == self.expected_word(*order)
            if word == "queued":
                lane = self.lanes[name]
                lane.jobs.append(ModelJob(self.seq_of_tail(name), job_id, digest))
                self.issued[job_id] = (name, digest)
                self.times_queued[job_id] = self.times_queued.get(job_id, 0) + 1
                if lane.claim is None and lane.hold is None and lane.ready is None:
                    lane.ready = "due"

    def seq_of_tail(self, lane: str) -> int:
        """The number that the script gave; it must be the highest so far."""
        tails: Any = self.redis.lrange(self.keys.lane(lane), len(self.lanes[lane].jobs), len(self.lanes[lane].jobs))
        seq = int(json.loads(tails[0])["seq"])
        assert seq > self.newest_number
        self.newest_number = seq
        return seq

    @rule(where=st.lists(lanes, min_size=1, max_size=4) | st.builds(lambda lane: [lane] * 5, lanes))
    def enqueue_new_jobs(self, where: list[str]) -> None:
        self.check_enqueue([(self.new_id(), lane, "x") for lane in where])

    def new_id(self) -> str:
        self.ids += 1
        return f"j{self.ids:04}"

    @precondition(lambda self: self.issued)
    @rule(pick=picks, digest=st.sampled_from(["x", "x", "other"]))
    def enqueue_a_job_again(self, pick: int, digest: str) -> None:
        job_id = sorted(self.issued)[pick % len(self.issued)]
        lane, known = self.issued[job_id]
        self.check_enqueue([(job_id, lane, known if digest == "x" else digest)])

    @rule(lane=lanes)
    def enqueue_the_same_new_job_twice_at_once(self, lane: str) -> None:
        job_id = self.new_id()
        first = self.expected_word(job_id, lane, "x")
        words = self.enqueue([(job_id, lane, "x"), (job_id, lane, "x")])
        assert words == [first, "duplicate" if first == "queued" else first]
        if first == "queued":
            model = self.lanes[lane]
            model.jobs.append(ModelJob(self.seq_of_tail(lane), job_id, "x"))
            self.issued[job_id] = (lane, "x")
            self.times_queued[job_id] = 1
            if model.claim is None and model.hold is None and model.ready is None:
                model.ready = "due"

    @rule(name=drains, lane_count=st.integers(1, 4), job_count=st.integers(1, 8) | st.just(3))
    def claim(self, name: str, lane_count: int, job_count: int) -> None:
        if name not in self.drains:
            self.drains[name] = ModelDrain(f"{name}:{uuid4().hex[:8]}")
            self.messages = max(0, self.messages - 1)
            self.bell_was_lost = False
        drain = self.drains[name]
        drain.number += 1
        if drain.lingers:
            self.redis.lpop(self.key("wake"))
        order: Any = self.redis.zrange(self.key("ready"), 0, -1)
        order = [*map(bytes.decode, order), *self.take_back()]
        due = [lane for lane in order if self.lanes[lane].ready == "due"]
        values = {"drain": drain.name, "number": drain.number, "begin": int(drain.number == 1), "byte_count": 1_000_000}
        times = {"lease_us": HOUR_US, "linger_us": HOUR_US, "slice_us": HOUR_US}
        counts = {"lane_count": lane_count, "job_count": job_count}

        def ask() -> Any:
            return self.call("claim", **values, **times, **counts, of={"grant": drain.name})

        answer = ask()
        drain.lingers = answer[0] == b"empty"
        drain.ask = ask
        if not due:
            assert answer[0] == b"empty", f"{answer} {self.lanes} {order}"
            assert 1000 <= answer[2] <= HOUR_US
            return
        self.check_claim(drain, answer, due, lane_count, job_count)

    def check_claim(
        self, drain: ModelDrain, answer: list[Any], due: list[str], lane_count: int, job_count: int
    ) -> None:
        word, ring, token, cancellations, *fields = answer
        self.messages += ring
        assert (word, cancellations) == (b"claimed", len(self.cancelled))
        assert int(token) > self.newest_number
        self.newest_number = int(token)
        given = {fields[n].decode(): fields[n + 1 : n + 4] for n in range(0, len(fields), 4)}
        assert 1 <= len(given) <= lane_count
        assert due[0] in given, "the lane that has waited longest comes first"
        assert set(given) <= set(due)
        if any(self.lanes[lane].suspect for lane in given):
            assert len(given) == 1
        assert sum(len(jobs) for _, _, jobs in given.values()) <= max(job_count, len(given))
        for name, (attempts, crashes, jobs) in given.items():
            lane = self.lanes[name]
            assert (attempts.decode() or None, crashes) == (lane.attempts, lane.crashes)
            assert len(jobs) <= (1 if lane.suspect else job_count)
            assert bool(jobs) == bool(lane.jobs), "a lane with jobs is given with its head at least"
            assert self.ids_of(jobs) == [job.id for job in lane.jobs[: len(jobs)]]
            lane.claim, lane.ready, lane.hold = ModelClaim(int(token)), None, None
        drain.last = Holder(int(token), {n: self.lanes[n].jobs[: len(jobs)] for n, (_, _, jobs) in given.items()})
        self.holders.append(drain.last)

    @staticmethod
    def ids_of(jobs: list[bytes]) -> list[str]:
        return [str(json.loads(job)["id"]) for job in jobs]

    def take_back(self) -> list[str]:
        expired = [lane for lane in self.lanes.values() if lane.claim is not None and lane.claim.expired]
        for lane in expired:
            lane.take_back()
        return [lane.name for lane in expired]

    @precondition(lambda self: any(drain.may_repeat for drain in self.drains.values()))
    @rule(pick=picks)
    def repeat_a_claim_whose_reply_was_lost(self, pick: int) -> None:
        drains = sorted(name for name, drain in self.drains.items() if drain.may_repeat)
        drain = self.drains[drains[pick % len(drains)]]
        assert drain.last is not None
        assert drain.ask is not None
        self.take_back()
        word, ring, token, _, *fields = drain.ask()
        assert (word, ring, int(token)) == (b"claimed", 0, drain.last.token)
        given = {fields[n].decode(): fields[n + 3] for n in range(0, len(fields), 4)}
        assert sorted(given) == sorted(name for name in drain.last.given if self.lanes[name].in_force(int(token)))
        for name, jobs in given.items():
            assert len(jobs) >= len(drain.last.given[name]), "jobs may have come meanwhile, none has gone"
            drain.last.given[name] = self.lanes[name].jobs[: len(jobs)]
            assert self.ids_of(jobs) == [job.id for job in drain.last.given[name]]

    @rule(lane=lanes)
    def take_a_lane_by_its_name(self, lane: str) -> None:
        self.people += 1
        model = self.lanes[lane]
        self.take_back()
        for _ in range(2):  # the second is the repetition after a lost reply
            answer = self.call("take", name=lane, lease_us=HOUR_US, of={"grant": f"person{self.people}"})
            if model.claim is not None and answer[0] == b"busy":
                return
            if not model.jobs:
                assert answer == [b"absent"]
                break
            assert (answer[0], answer[3], self.ids_of(answer[6])) == (b"claimed", lane.encode(), [model.jobs[0].id])
            if model.claim is None:
                assert int(answer[2]) > self.newest_number
                self.newest_number = int(answer[2])
                model.claim, model.ready = ModelClaim(int(answer[2])), None
                self.holders.append(Holder(int(answer[2]), {lane: model.jobs[:1]}))
            assert model.in_force(int(answer[2]))
        self.timer()

    def pick_held_lane(self, pick: int) -> tuple[Holder, str]:
        recent = self.holders[-4:] if pick % 3 else self.holders
        holder = recent[pick % len(recent)]
        return holder, sorted(holder.given)[pick // 7 % len(holder.given)]

    def acknowledge(self, holder: Holder, lane: str, count: int, *, keep: bool) -> None:
        """As worker/acknowledge.py does, twice if the reply was lost: `count` of the jobs that were given."""
        model = self.lanes[lane]
        claimed = model.claim
        holder.answered = True
        given = holder.given[lane][:count]
        word, gone = model.acknowledge(holder.token, count, keep=keep)
        assert [job.id for job in gone] == [job.id for job in given[len(given) - len(gone) :]]
        values = {"name": lane, "token": holder.token, "upto": count, "keep": int(keep), "outcome_ms": 1_000_000}
        outcomes = [(job.id, f"{job.digest} ended".encode()) for job in gone or given]
        assert self.call("acknowledge", outcomes, **values, of={"lane": lane}).decode() == word
        for job in gone:
            self.ended[job.id] = job
            self.outcomes[job.id] = job.digest
            self.cancelled.discard(job.id)
            self.times_ended[job.id] = self.times_ended.get(job.id, 0) + 1
        repeated = self.call("acknowledge", outcomes, **values, of={"lane": lane}).decode()
        assert repeated == ("kept" if word == "kept" else "lost")
        assert word == "lost" or claimed is not None

    @precondition(lambda self: self.holders)
    @rule(pick=picks)
    def acknowledge_all(self, pick: int) -> None:
        holder, lane = self.pick_held_lane(pick)
        self.acknowledge(holder, lane, len(holder.given[lane]), keep=False)
        self.timer_unless_at_work()

    @precondition(lambda self: self.holders)
    @rule(pick=picks, part=st.integers(1, 5))
    def acknowledge_a_part_and_go_on(self, pick: int, part: int) -> None:
        holder, lane = self.pick_held_lane(pick)
        self.acknowledge(holder, lane, min(part, len(holder.given[lane])), keep=True)

    @precondition(lambda self: self.holders)
    @rule(pick=picks, part=st.integers(0, 5), later=st.booleans(), memory=st.sampled_from(["", "1 5", "2 5"]))
    def acknowledge_a_part_and_park(self, pick: int, part: int, later: bool, memory: str) -> None:  # noqa: FBT001
        holder, lane = self.pick_held_lane(pick)
        count = min(part, max(0, len(holder.given[lane]) - 1))
        if count:
            self.acknowledge(holder, lane, count, keep=True)
        if not self.lanes[lane].jobs:
            memory = ""
        holder.answered = True
        for repetition in range(2):
            word = self.lanes[lane].park(holder.token, "later" if later else "due", memory)
            values = {"name": lane, "token": holder.token, "delay_us": HOUR_US if later else 0, "attempts": memory}
            assert self.call("park", **values, floor=0, of={"lane": lane}).decode() == word
            assert word == "lost" or repetition == 0
        self.timer_unless_at_work()

    @rule(lane=lanes, timed=st.booleans())
    def hold(self, lane: str, timed: bool) -> None:  # noqa: FBT001
        model = self.lanes[lane]
        ends = self.now() + HOUR_US if timed else 0
        word = self.call("hold", name=lane, until_us=ends, note=NOTE, of={"lane": lane}).decode()
        assert word == ("held" if model.jobs or model.claim else "absent")
        if word == "held":
            model.hold = "timed" if timed else "for good"
            if model.claim is None:
                model.line_up("due")

    @rule(lane=lanes)
    def resume(self, lane: str) -> None:
        model = self.lanes[lane]
        was_waiting = model.hold is not None or (model.ready == "later" and model.claim is None)
        word, ring = self.call("resume", name=lane, of={"lane": lane})
        self.messages += ring
        assert word.decode() == ("resumed" if was_waiting else "idle")
        model.hold = None
        if was_waiting and model.claim is None:
            model.line_up("due")

    @rule(lane=lanes)
    def retry(self, lane: str) -> None:
        model = self.lanes[lane]
        word, ring = self.call("retry", name=lane, of={"lane": lane})
        self.messages += ring
        if model.claim is not None:
            assert word == b"claimed"
        elif model.hold is not None:
            assert word == b"held"
        else:
            assert word == (b"due" if model.jobs else b"absent")
            model.line_up("due")

    @precondition(lambda self: self.issued)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job_id = sorted(self.issued)[pick % len(self.issued)]
        lane = next((lane for lane in self.lanes.values() for job in lane.jobs if job.id == job_id), None)
        word, ring = self.call("cancel", id=job_id, note=NOTE)
        self.messages += ring
        assert word == (b"absent" if lane is None else b"marked")
        if lane is not None:
            self.cancelled.add(job_id)
            if lane.ready == "later" and lane.jobs[0].id == job_id:
                lane.line_up("due")

    @precondition(lambda self: self.ended)
    @rule(which=st.lists(picks, min_size=1, max_size=4), twice=st.booleans())
    def replay_dead_letters(self, which: list[int], twice: bool) -> None:  # noqa: FBT001
        waiting = {job.id for lane in self.lanes.values() for job in lane.jobs}
        found = {self.ended[sorted(self.ended)[pick % len(self.ended)]] for pick in which}
        letters = sorted((self.issued[job.id][0], job.seq, job) for job in found)
        each = [
            (lane, j.id, j.digest, seq, b'{"seq":%d,"id":"%s","kind":"k"}' % (seq, j.id.encode()))
            for lane, seq, j in letters
        ]
        busy = {name for name, _, _ in letters if self.lanes[name].claim is not None}
        ring, *refused = self.call("replay", each)
        self.messages += ring
        assert {name.decode() for name in refused} == busy
        for name in sorted({name for name, _, _ in letters} - busy):
            back = [job for lane, _, job in letters if lane == name and job.id not in waiting]
            if back:
                self.lanes[name].put_back(back)
            for job in back:
                del self.ended[job.id]
                self.outcomes.pop(job.id, None)
                self.times_queued[job.id] += 1
        if twice:
            again, *refused = self.call("replay", each)
            assert (again, {name.decode() for name in refused}) == (0, busy)

    @rule(name=drains)
    def leave(self, name: str) -> None:
        if name in self.drains:
            drain = self.drains.pop(name)
            self.messages += self.call("leave", drain=drain.name, of={"grant": drain.name})
            if any(lane.claim is not None and lane.claim.expired for lane in self.lanes.values()):
                self.timer()  # it was woken for a lease that has ended, and did not look

    # What may go wrong, and how time passes

    @rule(name=drains)
    def a_worker_dies(self, name: str) -> None:
        """It answers no more; what it held stays claimed until the lease ends, and a bell may have died with it."""
        if name in self.drains:
            drain = self.drains.pop(name)
            for zset in ("drains", "lingering"):
                self.redis.zadd(self.key(zset), {drain.name: 1}, xx=True)
            self.messages, self.bell_was_lost = 0, True
            self.timer()

    @precondition(lambda self: any(lane.claim for lane in self.lanes.values()))
    @rule(pick=picks)
    def a_lease_ends(self, pick: int) -> None:
        claimed = [lane for lane in self.lanes.values() if lane.claim is not None]
        lane = claimed[pick % len(claimed)]
        assert lane.claim is not None
        lane.claim.expired = True
        self.redis.zadd(self.key("claimed"), {lane.name: 1}, xx=True)
        self.timer()

    @precondition(lambda self: any(lane.ready == "later" for lane in self.lanes.values()))
    @rule(pick=picks)
    def a_backoff_or_a_hold_ends(self, pick: int) -> None:
        waiting = [lane for lane in self.lanes.values() if lane.ready == "later"]
        lane = waiting[pick % len(waiting)]
        lane.ready = "due"
        self.redis.zadd(self.key("ready"), {lane.name: self.now()}, xx=True)
        self.timer()

    @precondition(lambda self: self.outcomes)
    @rule(pick=picks)
    def the_time_of_an_outcome_is_over(self, pick: int) -> None:
        job_id = sorted(self.outcomes)[pick % len(self.outcomes)]
        del self.outcomes[job_id]
        self.redis.delete(self.keys.outcome(job_id))
        self.ended.pop(job_id, None)

    @rule()
    def redis_forgets_its_scripts(self) -> None:
        self.redis.script_flush()

    @rule()
    def redis_loses_its_clock(self) -> None:
        """Numbers go on growing by the time."""
        self.redis.delete(self.key("clock"))
        self.newest_number = min(self.newest_number, self.now())

    def timer(self) -> None:
        """A second has passed: a worker's watch asks."""
        rung = self.call("due", anyway=0, patience_us=0 if self.bell_was_lost else 10 * HOUR_US)
        self.messages += rung
        self.bell_was_lost = self.bell_was_lost and not rung

    def timer_unless_at_work(self) -> None:
        """A drain at work claims again, and calls another one if it must leave before."""
        if not self.at_work:
            self.timer()

    @property
    def at_work(self) -> bool:
        """Whether a drain lives that does not linger."""
        return any(not drain.lingers for drain in self.drains.values())

    def now(self) -> int:
        seconds, micros = self.redis.time()  # type: ignore[misc]
        return int(seconds) * 1_000_000 + int(micros)

    # What must always hold

    @invariant()
    def all_holds(self) -> None:
        self.redis_is_as_the_model_says()
        self.a_lane_with_jobs_stands_in_exactly_one_place_and_an_empty_one_remembers_nothing()
        self.no_job_is_lost_and_none_ends_more_often_than_it_was_queued()
        self.nobody_waits_without_somebody_being_called()

    def redis_is_as_the_model_says(self) -> None:
        with self.redis.pipeline(transaction=False) as pipeline:
            for name in LANES:
                pipeline.lrange(self.keys.lane(name), 0, -1)
            for name in ("tokens", "attempts", "crashes", "held", "pending", "cancelled"):
                pipeline.hgetall(self.key(name))
            for name in ("ready", "claimed"):
                pipeline.zrange(self.key(name), 0, -1, withscores=True)
            for job_id in sorted(self.issued):
                pipeline.lindex(self.keys.outcome(job_id), 0)
            found = pipeline.execute()
        outcomes = dict(zip(sorted(self.issued), found[12:], strict=True))
        assert {i: o.decode().split()[0] for i, o in outcomes.items() if o} == self.outcomes
        *lists, tokens, attempts, crashes, held, pending, cancelled, ready, claimed = found[:12]
        models = list(self.lanes.values())
        for model, jobs in zip(models, lists, strict=True):
            assert [(json.loads(j)["seq"], json.loads(j)["id"]) for j in jobs] == [(j.seq, j.id) for j in model.jobs]
        assert text(pending) == {job.id: f"{job.digest} {lane.name}" for lane in models for job in lane.jobs}
        assert text(tokens) == {m.name: f"{m.claim.token}:{m.claim.taken}" for m in models if m.claim}
        assert text(attempts) == {m.name: m.attempts for m in models if m.attempts}
        assert text(crashes) == {m.name: str(m.crashes) for m in models if m.crashes}
        assert set(text(held)) == {m.name for m in models if m.hold}
        assert set(text(cancelled)) == self.cancelled
        now = self.now()
        assert {name.decode() for name, _ in claimed} == {m.name for m in models if m.claim}
        times = {name.decode(): "due" if score <= now else "later" for name, score in ready}
        assert times == {m.name: m.ready for m in models if m.ready}

    def a_lane_with_jobs_stands_in_exactly_one_place_and_an_empty_one_remembers_nothing(self) -> None:
        for lane in self.lanes.values():
            held_for_good = lane.hold == "for good" and lane.claim is None
            places = [lane.claim is not None, lane.ready is not None, held_for_good]
            assert sum(places) == 1 if lane.jobs else sum(places) <= 1
            assert lane.jobs or (lane.attempts, lane.crashes) == (None, 0)
            assert [job.seq for job in lane.jobs] == sorted(job.seq for job in lane.jobs)

    def no_job_is_lost_and_none_ends_more_often_than_it_was_queued(self) -> None:
        waiting = [job.id for lane in self.lanes.values() for job in lane.jobs]
        assert len(waiting) == len(set(waiting))
        for job_id, queued in self.times_queued.items():
            assert queued == self.times_ended.get(job_id, 0) + (job_id in waiting)

    def nobody_waits_without_somebody_being_called(self) -> None:
        due = any(lane.ready == "due" and lane.claim is None for lane in self.lanes.values())
        expired = any(lane.claim is not None and lane.claim.expired for lane in self.lanes.values())
        if not due and not expired:
            return
        if self.bell_was_lost:
            self.timer()
        woken = any(drain.lingers for drain in self.drains.values()) and self.redis.llen(self.key("wake"))
        assert self.at_work or woken or self.messages

    def teardown(self) -> None:
        """Everything comes to an end, and empty lanes leave nothing behind."""
        if not hasattr(self, "keys"):
            return
        for lane in self.lanes.values():
            self.resume(lane.name)
            self.redis.zadd(self.key("claimed"), {lane.name: 1}, xx=True)
            if lane.claim is not None:
                lane.claim.expired = True
        for zset in ("drains", "lingering"):
            for drain in self.redis.zrange(self.key(zset), 0, -1):
                self.redis.zadd(self.key(zset), {drain: 1})
        self.drains.clear()
        for _ in range(50):
            self.claim("last", 4, 8)
            last = self.drains["last"]
            if last.lingers:
                break
            assert last.last is not None
            for lane_name, jobs in last.last.given.items():
                self.acknowledge(last.last, lane_name, len(jobs), keep=False)
        self.leave("last")
        assert not any(lane.jobs for lane in self.lanes.values())
        self.no_job_is_lost_and_none_ends_more_often_than_it_was_queued()
        root = self.key("")
        names = {key.decode().removeprefix(root) for key in self.redis.keys(f"{root}*")}
        left = {name for name in names if self.redis.pttl(root + name) < 0}
        assert left <= {"clock", "bell", "wake", "tally"}
        if names:
            self.redis.delete(*(root + name for name in names))


def text(found: dict[bytes, bytes]) -> dict[str, str]:
    """A hash of Redis as text."""
    return {name.decode(): value.decode() for name, value in found.items()}


@pytest.mark.timeout(300)
def test_the_scripts_do_what_a_plain_model_says_in_any_order_of_events(redis: Redis) -> None:
    bounds = settings(
        max_examples=250,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: LaneMachine(redis), settings=bounds)

"""The real scripts on a real Redis, against a plain model of lanes: whatever happens in whatever order, both agree.

The model is what design and docstrings promise, in lists and sets. Time passes by rewriting the scores of leases and
backoffs, never by waiting.
"""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from tests.lanes.conftest import Step
from worker.acknowledge import Park, Settled, acknowledge
from worker.claim import Claim, Claimer
from worker.enqueue import enqueue, order
from worker.entry import End, Entry
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import UnknownLane
from worker.script import run
from worker.settings import Settings

LANES = ("a", "b", "c")
LIMIT = 6
AN_HOUR_MS = 3_600_000

lanes = st.sampled_from(LANES)


@dataclass
class Held:
    """A claim as its worker knows it: its token, and what it was given of each lane."""

    claimer: Claimer
    token: int
    given: dict[str, list[bytes]]
    acknowledged: dict[str, int] = field(default_factory=dict)


class Lanes(RuleBasedStateMachine):
    """Clients, workers and operators at work on three lanes."""

    redis: Redis

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings(
            redis_url="redis://unused",
            prefix=f"m{uuid.uuid4().hex[:12]}",
            lane_limit=LIMIT,
            claim_lanes=2,
            claim_jobs=4,
        )
        self.keys = Keys(self.settings.prefix)
        self.operator = Interventions(self.redis, self.settings, "operator")
        self.numbers = itertools.count()
        self.waiting: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.raw: dict[str, bytes] = {}
        self.ended: set[str] = set()
        self.dead: dict[str, list[str]] = {lane: [] for lane in LANES}
        self.claimed: dict[str, int] = {}
        self.expired: set[str] = set()
        self.parked: set[str] = set()
        self.held: set[str] = set()
        self.suspects: set[str] = set()
        self.claims: list[Held] = []
        self.newest_token = 0
        self.newest_seq = 0

    # Clients

    @rule(lane=lanes)
    def enqueue(self, lane: str) -> None:
        number = next(self.numbers)
        word = self._enqueue(lane, number, f"job{number}")
        if len(self.waiting[lane]) >= LIMIT:
            assert word == "lane_full"
            return
        assert word == "queued"
        raw: Any = self.redis.lindex(self.keys.lane(lane), -1)
        seq = Entry.read(lane, raw, 1, 0).envelope.seq
        assert seq > self.newest_seq
        self.newest_seq = seq
        self.raw[f"job{number}"] = raw
        self.waiting[lane].append(f"job{number}")

    @precondition(lambda self: self.raw)
    @rule(data=st.data(), shift=st.sampled_from([0, 1000]))
    def enqueue_again(self, data: st.DataObject, shift: int) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.raw)))
        job = Entry.read("a", self.raw[job_id], 1, 0).envelope
        word = self._enqueue(job.lane, job.payload["number"] + shift, job_id)
        if shift:
            assert word == "reused"
        else:
            assert word == ("duplicate" if any(job_id in jobs for jobs in self.waiting.values()) else "done")

    def _enqueue(self, lane: str, number: int, job_id: str) -> str:
        made = order(Step(on=lane, number=number), self.settings, actor="U1", job_id=job_id)
        _, (word,) = enqueue(self.redis, self.keys, self.settings, [made])
        return word

    # Workers

    @rule()
    def claim(self) -> None:
        claimer = Claimer(self.redis, self.keys, self.settings, f"drain{next(self.numbers)}")
        found = claimer.claim()
        for lane in self.expired:
            self.suspects.add(lane)
            del self.claimed[lane]
        self.expired.clear()
        free = {
            lane
            for lane in LANES
            if self.waiting[lane] and lane not in self.claimed and lane not in self.parked and lane not in self.held
        }
        if not isinstance(found, Claim):
            assert not free
            return
        assert found.token > self.newest_token
        self.newest_token = found.token
        given = {lane.name: lane.jobs for lane in found.lanes}
        assert given
        assert given.keys() <= free
        for lane, jobs in given.items():
            assert jobs == [self.raw[job_id] for job_id in self.waiting[lane][: len(jobs)]]
            assert jobs
            if lane in self.suspects:
                assert len(given) == len(jobs) == 1
            self.claimed[lane] = found.token
        self.claims.append(Held(claimer, found.token, given))

    @precondition(lambda self: self.claims)
    @rule()
    def ask_again_for_the_last_claim(self) -> None:
        """The reply was lost: the same number gives the same claim, less what is settled."""
        last = self.claims[-1]
        if self.expired or not any(self.claimed.get(lane) == last.token for lane in last.given):
            return
        last.claimer._number -= 1
        found = last.claimer.claim()
        assert isinstance(found, Claim)
        assert found.token == last.token
        still = {lane: jobs for lane, jobs in last.given.items() if self.claimed.get(lane) == last.token}
        assert {lane.name for lane in found.lanes} == still.keys()
        for lane in found.lanes:
            assert lane.jobs == [self.raw[job_id] for job_id in self.waiting[lane.name][: len(lane.jobs)]]

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(),
        then=st.sampled_from(["release", "give back", "park"]),
        status=st.sampled_from(["applied", "dead"]),
    )
    def acknowledge(self, data: st.DataObject, then: str, status: str) -> None:
        """Whatever claim it is, in force or long lost, and twice, as if the reply was lost."""
        claim = data.draw(st.sampled_from(self.claims))
        lane = data.draw(st.sampled_from(sorted(claim.given)))
        count = data.draw(st.integers(0, len(claim.given[lane])))
        pairs = [(Entry.read(lane, raw, 1, 0), End(status, "done", "")) for raw in claim.given[lane][:count]]
        park = {"release": None, "give back": Park(0), "park": Park(AN_HOUR_MS, "1 1")}[then]
        for _ in range(2):
            acknowledge(self.redis, self.keys, self.settings, claim.token, [Settled(lane, list(pairs), park)])
        if self.claimed.get(lane) != claim.token:
            return
        ended, self.waiting[lane] = self.waiting[lane][:count], self.waiting[lane][count:]
        self.ended.update(ended)
        if status == "dead":
            self.dead[lane] += ended
        del self.claimed[lane]
        self.expired.discard(lane)
        if count:
            self.suspects.discard(lane)
        if then == "park":
            if self.waiting[lane]:
                self.parked.add(lane)
            self.suspects.add(lane)
        if not self.waiting[lane]:
            self.suspects.discard(lane)

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def end_a_lease(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(self.claimed)))
        self.redis.zadd(self.keys.named("claimed"), {lane: 1})
        self.expired.add(lane)

    @precondition(lambda self: self.parked - self.held)
    @rule(data=st.data())
    def end_a_backoff(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(self.parked - self.held)))
        self.redis.zadd(self.keys.named("ready"), {lane: 1})
        self.parked.discard(lane)

    # Operators

    @rule(lane=lanes)
    def hold(self, lane: str) -> None:
        try:
            self.operator.hold(lane, "to look", None)
        except UnknownLane:
            assert not self.waiting[lane]
            assert lane not in self.claimed
            return
        assert self.waiting[lane] or lane in self.claimed
        self.held.add(lane)

    @rule(lane=lanes)
    def resume(self, lane: str) -> None:
        went_on = self.operator.resume(lane)
        assert went_on == (lane in self.held or lane in self.parked)
        self.held.discard(lane)
        self.parked.discard(lane)

    @precondition(lambda self: self.raw)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.raw)))
        waits = [lane for lane in LANES if job_id in self.waiting[lane]]
        assert self.operator.cancel(job_id, "not wanted") == bool(waits)
        for lane in waits:
            if self.waiting[lane][0] == job_id and lane not in self.held:
                self.parked.discard(lane)  # a cancelled head does not wait for its backoff

    @precondition(lambda self: any(self.dead.values()))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from([lane for lane in LANES if self.dead[lane]]))
        job_id = data.draw(st.sampled_from(self.dead[lane]))
        envelope = Entry.read(lane, self.raw[job_id], 1, 0).envelope
        _, *busy = run(self.redis, self.keys, "replay", lane, job_id, envelope.digest, envelope.seq, self.raw[job_id])
        assert busy == ([lane.encode()] if lane in self.claimed else [])
        if busy:
            return
        self.dead[lane].remove(job_id)
        self.ended.discard(job_id)
        before = self.waiting[lane]
        self.waiting[lane] = sorted([*before, job_id], key=self._seq)
        if self.waiting[lane][0] == job_id:
            self.parked.discard(lane)
            self.suspects.discard(lane)

    def _seq(self, job_id: str) -> int:
        return Entry.read("a", self.raw[job_id], 1, 0).envelope.seq

    # What always holds

    @invariant()
    def lanes_are_as_the_model_says(self) -> None:
        for lane in LANES:
            found: Any = self.redis.lrange(self.keys.lane(lane), 0, -1)
            assert found == [self.raw[job_id] for job_id in self.waiting[lane]]

    @invariant()
    def a_lane_that_is_not_empty_stands_in_one_place(self) -> None:
        ready: Any = self.redis.zrange(self.keys.named("ready"), 0, -1)
        claimed: Any = self.redis.zrange(self.keys.named("claimed"), 0, -1)
        names = {name.decode() for name in ready}, {name.decode() for name in claimed}
        assert names[1] == self.claimed.keys()
        free = {lane for lane in LANES if self.waiting[lane] and lane not in self.claimed}
        assert names[0] == free - self.held

    @invariant()
    def a_job_waits_or_has_ended(self) -> None:
        pending: Any = self.redis.hkeys(self.keys.named("pending"))
        assert {job_id.decode() for job_id in pending} == {job_id for jobs in self.waiting.values() for job_id in jobs}
        assert self.ended == self.raw.keys() - {job_id for jobs in self.waiting.values() for job_id in jobs}

    @invariant()
    def memory_is_of_lanes_that_are_there(self) -> None:
        there = {lane for lane in LANES if self.waiting[lane]}
        for memory in ("attempts", "crashes"):
            found: Any = self.redis.hkeys(self.keys.named(memory))
            assert {lane.decode() for lane in found} <= there
        tokens: Any = self.redis.hkeys(self.keys.named("tokens"))
        assert {lane.decode() for lane in tokens} == self.claimed.keys()

    def teardown(self) -> None:
        """Take the example's keys away."""
        pattern = f"{{{self.settings.prefix}}}:*"
        for key in self.redis.scan_iter(pattern, count=1000):
            self.redis.delete(key)


def test_scripts_and_model_agree(redis: Redis) -> None:
    Lanes.redis = redis
    run_state_machine_as_test(
        Lanes,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

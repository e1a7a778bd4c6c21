"""What a person may do to lanes and waiting jobs: cancel, hold, resume; limits; merging."""

import time

import pytest

from tests.integration.kinds import Engrave, Redraw, Write
from tests.integration.notebook import ACTOR, Notebook
from worker import Client, JobTooLarge, LaneFull, WrongLane
from worker.acknowledge import Settled, acknowledge
from worker.batch import apply
from worker.claim import Claim
from worker.database import connect
from worker.entry import Entry

NOTE = '{"by": "U0ADMIN", "why": "a mistake", "at": 1}'


def test_a_cancelled_job_is_recorded_and_not_applied_wherever_it_stands_in_its_lane(notebook: Notebook) -> None:
    handles = notebook.enqueue(*(Write(page="p", text=str(n)) for n in range(5)))
    for number in (0, 3):
        assert notebook.script("cancel", handles[number].id, NOTE)[0] == b"marked"
    assert notebook.drain_all() == {"applied": 3, "cancelled": 2}
    assert notebook.lines("p") == ["1", "2", "4"]
    outcome = handles[3].wait(1)
    assert (outcome.status, outcome.message) == ("cancelled", "An operator cancelled this: a mistake")
    assert notebook.script("cancel", handles[3].id, NOTE)[0] == b"absent"
    assert notebook.left_in_redis() == set()


def test_a_failing_head_can_be_cancelled(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40001")
    (bad, _) = notebook.enqueue(Write(page="p", text="bad"), Write(page="p", text="after"))
    worker = notebook.patient_worker()
    worker.drain()
    notebook.script("cancel", bad.id, NOTE)
    notebook.script("resume", "page:p", lane="page:p")
    assert worker.drain() == {"cancelled": 1, "applied": 1}
    assert notebook.lines("p") == ["after"]


def test_cancelling_a_job_that_has_just_been_committed_does_not_undo_it(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Write(page="p", text="done"))
    claim = notebook.worker().claimer().claim()
    assert isinstance(claim, Claim)
    entries = {lane.name: [Entry.read(lane.name, raw, 1, 0) for raw in lane.jobs] for lane in claim.lanes}
    with connect(notebook.settings) as connection:
        batch = apply(connection, claim.token, "w", entries)
    assert notebook.script("cancel", handle.id, NOTE)[0] == b"marked"
    acknowledge(
        notebook.redis,
        notebook.keys,
        notebook.settings,
        claim.token,
        [Settled(lane, pairs) for lane, pairs in batch.ends.items()],
    )
    assert handle.wait(1).status == "applied"
    assert notebook.left_in_redis() == set()


def test_a_held_lane_waits_with_all_that_comes_and_goes_on_in_order(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="1"))
    assert notebook.script("hold", "page:p", 0, NOTE, lane="page:p") == b"held"
    notebook.enqueue(Write(page="p", text="2"), Write(page="q", text="beside"))
    worker = notebook.worker()
    assert worker.drain() == {"applied": 1}
    assert worker.drain() == {}
    assert notebook.script("resume", "page:p", lane="page:p")[0] == b"resumed"
    assert worker.drain() == {"applied": 2}
    assert notebook.lines("p") == ["1", "2"]


def test_a_lane_held_until_a_time_goes_on_by_itself(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="1"))
    until = time.time_ns() // 1000 + 150_000
    notebook.script("hold", "page:p", until, NOTE, lane="page:p")
    assert notebook.worker().drain() == {}
    assert notebook.drain_all() == {"applied": 1}
    assert time.time_ns() // 1000 >= until
    assert notebook.left_in_redis() == set()


def test_a_lane_held_under_a_claim_stops_after_it(notebook: Notebook) -> None:
    notebook.enqueue(*(Write(page="p", text=str(n)) for n in range(4)))
    worker = notebook.worker(claim_jobs=2)
    claim = worker.claimer().claim()
    assert isinstance(claim, Claim)
    notebook.script("hold", "page:p", 0, NOTE, lane="page:p")
    entries = {lane.name: [Entry.read(lane.name, raw, 1, 0) for raw in lane.jobs] for lane in claim.lanes}
    with connect(notebook.settings) as connection:
        batch = apply(connection, claim.token, "w", entries)
    settled = [Settled(lane, pairs) for lane, pairs in batch.ends.items()]
    acknowledge(notebook.redis, notebook.keys, notebook.settings, claim.token, settled)
    assert worker.drain() == {}
    assert notebook.lines("p") == ["0", "1"]
    notebook.script("resume", "page:p", lane="page:p")
    assert worker.drain() == {"applied": 2}


def test_the_lease_of_a_held_lane_may_end_and_it_is_held_still(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="1"))
    notebook.worker("dying").claimer().claim()
    notebook.script("hold", "page:p", 0, NOTE, lane="page:p")
    notebook.end_leases()
    assert notebook.worker().drain() == {}
    notebook.script("resume", "page:p", lane="page:p")
    assert notebook.worker().drain() == {"applied": 1}


def test_equal_jobs_that_wait_behind_each_other_are_one_and_all_have_an_outcome(notebook: Notebook) -> None:
    handles = notebook.enqueue(*[Redraw(page="p")] * 3, Write(page="p", text="x"), *[Redraw(page="p")] * 2)
    notebook.enqueue(Redraw(page="q"))
    assert notebook.drain_all() == {"applied": 4, "unchanged": 3}
    assert notebook.lines("p") == ["drawn", "x", "drawn"]
    assert [handle.wait(1).code for handle in handles] == ["drawn", "merged", "merged", "written", "drawn", "merged"]


def test_equal_jobs_are_each_applied_when_nobody_merges_their_kind(notebook: Notebook) -> None:
    notebook.enqueue(*[Write(page="p", text="x")] * 3)
    notebook.drain_all()
    assert notebook.lines("p") == ["x", "x", "x"]


def test_a_lane_and_all_lanes_together_take_so_many_jobs_and_again_when_some_have_gone(notebook: Notebook) -> None:
    client = Client(notebook.settings.model_copy(update={"lane_limit": 3, "total_limit": 5}))
    for number in range(3):
        client.enqueue(Write(page="p", text=str(number)), actor=ACTOR)
    with pytest.raises(LaneFull, match=r"'page:p' is full \(3 jobs"):
        client.enqueue(Write(page="p", text="no"), actor=ACTOR)
    client.enqueue(Write(page="q", text="3"), actor=ACTOR)
    client.enqueue(Write(page="r", text="4"), actor=ACTOR)
    with pytest.raises(LaneFull, match=r"all lanes together are full \(5 jobs"):
        client.enqueue(Write(page="s", text="no"), actor=ACTOR)
    assert notebook.drain_all() == {"applied": 5}
    client.enqueue(Write(page="p", text="yes"), actor=ACTOR)
    assert notebook.drain_all() == {"applied": 1}
    assert notebook.lines("p") == ["0", "1", "2", "yes"]
    client.redis.close()


def test_a_payload_up_to_the_limit_is_taken_and_a_larger_one_refused(notebook: Notebook) -> None:
    limit = notebook.settings.payload_limit
    envelope = 400
    with pytest.raises(JobTooLarge, match=f"the limit is {limit}"):
        notebook.enqueue(Write(page="p", text="x" * limit))
    notebook.enqueue(Write(page="p", text="x" * (limit - envelope)))
    with pytest.raises(JobTooLarge):
        notebook.enqueue(Write(page="p", text="€" * (limit // 2)))
    assert notebook.drain_all() == {"applied": 1}


def test_a_job_for_another_lane_than_the_caller_named_is_refused(notebook: Notebook) -> None:
    with pytest.raises(WrongLane, match=r"'page:p'.*'page:q'"):
        notebook.enqueue(Engrave(page="p", text="x"), lane="page:q")
    assert notebook.enqueue(Engrave(page="p", text="x"), lane="page:p")[0].lane == "page:p"

"""A job of a kind that rests is applied when its rest is over, by whoever lives then; equal ones come together."""

import time
from typing import Any, ClassVar

import pytest

from tests.integration.kinds import WRITE, OnPage, Write
from tests.integration.notebook import ACTOR, Notebook, eventually
from worker.enqueue import order
from worker.intervention import Interventions
from worker.job import Job

REST_SECONDS = 0.3


class Settle(OnPage, kind="rest.settle"):
    """Adds a line to a page after a rest."""

    text: str
    sql = WRITE
    rest_ms = 300


class Look(OnPage, kind="rest.look"):
    """Adds a line after a rest; equal ones that wait for it add one."""

    text: str = "looked"
    merge = True
    sql = WRITE
    rest_ms: ClassVar[int] = 300


def waited(notebook: Notebook, job_id: str) -> float:
    row = notebook.ended(job_id)
    seconds: float = (row["finished_at"] - row["enqueued_at"]).total_seconds()
    return seconds


def put(notebook: Notebook, job: Job, at: int) -> str:
    """A job that was enqueued at another time."""
    made = order(job, notebook.settings, actor=ACTOR)
    body = made.body.partition(b'"at":')
    notebook.put(made.lane, b'{"seq":1,' + body[0][1:] + b'"at":%d,' % at + body[2].partition(b",")[2])
    return made.id


def test_a_job_is_applied_when_its_rest_is_over_and_the_lane_keeps_its_order(notebook: Notebook) -> None:
    resting, _ = notebook.enqueue(Settle(page="p", text="a"), Write(page="p", text="b"))
    (other,) = notebook.enqueue(Write(page="q", text="c"))
    assert notebook.worker().drain() == {"applied": 1}
    assert notebook.ended(other.id)["status"] == "applied"
    assert notebook.drain_all() == {"applied": 2}
    assert notebook.lines("p") == ["a", "b"]
    assert waited(notebook, resting.id) >= REST_SECONDS
    assert notebook.ended(resting.id)["attempts"] == 1
    assert notebook.left_in_redis() == set()


def test_what_comes_before_a_resting_job_does_not_wait_for_it(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="a"), Settle(page="p", text="b"))
    worker = notebook.worker()
    assert worker.drain() == {"applied": 1}
    assert notebook.lines("p") == ["a"]
    assert notebook.head_memory("page:p") == (0, 0)
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["a", "b"]


def test_each_job_has_its_own_rest(notebook: Notebook) -> None:
    (first,) = notebook.enqueue(Settle(page="p", text="a"))
    eventually(lambda: notebook.drain_all() == {"applied": 1}, "the first")
    (second,) = notebook.enqueue(Settle(page="p", text="b"))
    notebook.drain_all()
    assert min(waited(notebook, first.id), waited(notebook, second.id)) >= REST_SECONDS


def test_equal_jobs_that_wait_for_the_same_rest_are_done_as_one(notebook: Notebook) -> None:
    handles = notebook.enqueue(*(Look(page="p") for _ in range(9)))
    worker = notebook.worker()
    eventually(lambda: bool(worker.drain()["applied"]), "the rest is over")
    assert notebook.lines("p") == ["looked"]
    assert [notebook.ended(handle.id)["code"] for handle in handles] == ["written"] + ["merged"] * 8
    assert waited(notebook, handles[0].id) >= REST_SECONDS
    assert notebook.left_in_redis() == set()


def test_a_younger_job_goes_with_the_equal_one_that_is_due_but_no_other_does(notebook: Notebook) -> None:
    ago = time.time_ns() // 1000 - 300_000
    put(notebook, Look(page="p"), ago)
    young, other, last = notebook.enqueue(Look(page="p"), Look(page="p", text="more"), Look(page="p", text="more"))
    worker = notebook.worker()
    assert worker.drain() == {"applied": 1, "unchanged": 1}
    assert notebook.ended(young.id)["code"] == "merged"
    assert notebook.lines("p") == ["looked"]
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["looked", "more"]
    assert waited(notebook, other.id) >= REST_SECONDS
    assert notebook.ended(last.id)["code"] == "merged"


def test_the_rest_outlives_the_worker_that_had_the_lane(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Settle(page="p", text="a"))
    killed: Any = notebook.worker("w1").claimer().claim()
    assert [lane.name for lane in killed.lanes] == ["page:p"]
    notebook.end_leases()
    notebook.drain_all(notebook.worker("w2"))
    assert notebook.lines("p") == ["a"]
    assert waited(notebook, handle.id) >= REST_SECONDS


def test_it_rests_when_the_jobs_of_its_batch_are_applied_one_by_one(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "22000")
    notebook.enqueue(Write(page="p", text="a"), Write(page="p", text="bad"), Settle(page="p", text="b"))
    worker = notebook.worker()
    assert worker.drain() == {"applied": 1, "dead": 1}
    assert notebook.lines("p") == ["a"]
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["a", "b"]


def test_a_cancelled_job_rests_no_longer(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Settle(page="p", text="a"))
    assert Interventions(notebook.redis, notebook.settings, "ada").cancel(handle.id, "a mistake")
    assert notebook.worker().drain() == {"cancelled": 1}


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_wrong_by_hours_makes_nobody_wait_for_hours(notebook: Notebook, hours: int) -> None:
    put(notebook, Settle(page="p", text="a"), time.time_ns() // 1000 + hours * 3_600_000_000)
    assert notebook.worker().drain() == {"applied": 1}

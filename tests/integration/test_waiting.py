"""`wait` gives the outcome as soon as there is one, to everybody who asks, and keeps to its time."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.kinds import Write
from tests.integration.notebook import ACTOR, Notebook
from worker import InvalidJob, LaneFull, NoOutcome
from worker.claim import Claim, Nothing


def test_all_who_wait_get_the_outcome_at_once_and_it_ends_by_itself(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Write(page="p", text="awaited"))
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(handle.wait, 20) for _ in range(5)]
        notebook.drain_all()
        outcomes = [each.result() for each in waiting]
    (outcome,) = set(map(repr, outcomes))
    assert outcomes[0].status == "applied"
    assert outcomes[0].message == "U0WRITER wrote awaited on p."
    assert (outcomes[0].before, outcomes[0].after) == (None, {"page": "p", "lines": 1, "last": "awaited"})
    assert repr(handle.wait(0)) == outcome
    left = notebook.redis.pttl(notebook.keys.outcome(handle.id)) / 1000
    assert notebook.settings.outcome_seconds - 60 < left <= notebook.settings.outcome_seconds


@pytest.mark.parametrize("timeout", [0, 0.0001, 0.0005, 0.001, 0.0011, 0.01, 0.3])
def test_waiting_in_vain_ends_in_time_however_short(notebook: Notebook, timeout: float) -> None:
    (handle,) = notebook.enqueue(Write(page="p", text="never"))
    began = time.monotonic()
    with pytest.raises(NoOutcome, match=f"no outcome after {timeout:g} s.*onelane job {handle.id}"):
        handle.wait(timeout)
    assert timeout <= time.monotonic() - began < timeout + 0.5


def test_waiting_longer_than_one_redis_command_may_take_goes_on(notebook: Notebook) -> None:
    settings = notebook.settings.model_copy(update={"redis_timeout_ms": 100})
    client = type(notebook.client)(settings)
    handle = client.enqueue(Write(page="p", text="late"), actor=ACTOR)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(handle.wait, 20)
        with pytest.raises(NoOutcome):
            handle.wait(0.4)
        notebook.drain_all()
        assert waiting.result().code == "written"
    client.redis.close()


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.001, 0.0011, 3.0])
def test_who_lingers_comes_back_in_time(notebook: Notebook, seconds: float) -> None:
    claimer = notebook.worker(linger_ms=10_000, redis_timeout_ms=400).claimer()
    assert isinstance(claimer.claim(), Nothing)
    for linger in (claimer.linger, claimer.claim):
        began = time.monotonic()
        assert not isinstance(linger(seconds), Claim)
        assert time.monotonic() - began < 0.5


def test_a_lingering_drain_is_woken_by_an_enqueue(notebook: Notebook) -> None:
    worker = notebook.worker(linger_ms=10_000, slice_ms=2_000, redis_timeout_ms=4_000)
    with ThreadPoolExecutor(1) as pool:
        drain = pool.submit(worker.drain)
        for number in range(20):
            (handle,) = notebook.enqueue(Write(page="p", text=str(number)))
            began = time.monotonic()
            assert handle.wait(5).status == "applied"
            assert time.monotonic() - began < 0.5
        assert drain.result() == {"applied": 20}


def test_a_refused_job_has_its_error_where_its_outcome_would_be(notebook: Notebook) -> None:
    client = type(notebook.client)(notebook.settings.model_copy(update={"lane_limit": 2}))
    jobs = [Write(page="p", text=str(n)) for n in range(3)] + [Write(page="q", text="q")]
    handles = client.enqueue_many(jobs, actor=ACTOR)
    assert [handle.state for handle in handles] == ["queued", "queued", "refused", "queued"]
    with pytest.raises(LaneFull, match="'page:p' is full"):
        handles[2].wait(1)
    notebook.drain_all()
    assert notebook.lines("p") == ["0", "1"]
    assert notebook.lines("q") == ["q"]
    client.redis.close()


def test_of_many_jobs_with_an_impossible_one_nothing_is_queued(notebook: Notebook) -> None:
    jobs = [Write(page="p", text="fine"), Write(page="p", text="\ud800")]
    with pytest.raises(InvalidJob, match="Unicode"):
        notebook.client.enqueue_many(jobs, actor=ACTOR)
    assert notebook.drain_all() == {}

"""A worker that dies, or is paused for longer than its lease, at each step of its work: each job once and in order."""

import os
import signal
from multiprocessing.process import BaseProcess

import pytest

from tests.chaos.conftest import Stand
from tests.chaos.puppet import Puppets, Step, go_on
from tests.chaos.truth import Writing, check
from tests.integration.kinds import Engrave, Harm, Tell, Write
from tests.integration.notebook import ACTOR, Notebook, eventually

STEPS = [
    Step("before", "worker.claim", "Claimer.claim"),
    Step("after", "worker.claim", "Claimer.claim"),
    Step("before", "worker.batch", "Standing"),
    Step("after", "worker.standing", "Standing.await_answers"),
    Step("after", "worker.batch", "_settle"),
    Step("after", "worker.batch", "_record"),
    Step("after", "worker.drain", "apply"),
    Step("before", "worker.drain", "acknowledge"),
    Step("after", "worker.drain", "acknowledge"),
    Step("before", "worker.relay", "enqueue"),
    Step("after", "worker.relay", "enqueue"),
    Step("after", "worker.relay", "Relay._effects"),
    Step("after", "worker.relay", "Relay.deliver"),
    Step("before", "worker.claim", "run_after_pop"),
    Step("after", "worker.claim", "run_after_pop"),
    Step("before", "worker.claim", "Claimer.leave"),
    Step("after", "worker.claim", "Claimer.leave"),
]


def enqueue(notebook: Notebook) -> dict[str, Writing]:
    """Four lanes with four jobs each; some have follow-ups and effects."""
    jobs: dict[str, Writing] = {}
    for number in range(16):
        page, text = f"p{number % 4}", str(number)
        job = Tell(page=page, text=text, other="q") if number % 5 == 0 else Write(page=page, text=text)
        jobs[notebook.client.enqueue(job, actor=ACTOR).id] = job
    return jobs


def more(notebook: Notebook, jobs: dict[str, Writing]) -> None:
    """Two of the lanes get another job."""
    for page in ("p0", "p1"):
        job = Write(page=page, text="more")
        jobs[notebook.client.enqueue(job, actor=ACTOR).id] = job


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_worker_that_is_killed_leaves_nothing_half_done(notebook: Notebook, puppets: Puppets, step: Step) -> None:
    jobs = enqueue(notebook)
    puppets.die(step)
    more(notebook, jobs)
    notebook.end_leases()
    notebook.drain_all()
    check(notebook, jobs)


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_worker_that_was_paused_past_its_lease_wakes_up_and_changes_nothing(
    notebook: Notebook, puppets: Puppets, step: Step
) -> None:
    jobs = enqueue(notebook)
    paused = puppets.pause(step, lease_ms=300, task_time_limit_seconds=2)
    more(notebook, jobs)
    overtake(notebook, paused)
    check(notebook, jobs)


def overtake(notebook: Notebook, paused: BaseProcess) -> None:
    """The leases end, another worker does all there is, and the paused one wakes up and changes nothing."""
    notebook.end_leases()
    notebook.drain_all()
    before = snapshot(notebook)
    go_on(paused)
    assert snapshot(notebook) == before


def test_the_claim_of_a_lingering_worker_dies_with_it(notebook: Notebook, puppets: Puppets) -> None:
    lingering = puppets.start(linger_ms=20_000, slice_ms=20_000, redis_timeout_ms=40_000)
    eventually(lambda: is_lingering(notebook), "it lingers")
    lingering.kill()
    eventually(lambda: not is_lingering(notebook), "Redis has heard of its end")
    jobs = enqueue(notebook)
    assert notebook.redis.zcard(notebook.keys.named("claimed")) == 0
    notebook.drain_all()
    check(notebook, jobs)


def test_a_worker_that_was_paused_while_it_lingered_leaves_a_lane_under_a_lease_and_changes_nothing(
    notebook: Notebook, puppets: Puppets
) -> None:
    paused = puppets.start(linger_ms=20_000, slice_ms=1_000, redis_timeout_ms=40_000)
    eventually(lambda: is_lingering(notebook), "it lingers")
    assert paused.pid is not None
    os.kill(paused.pid, signal.SIGSTOP)
    jobs: dict[str, Writing] = {}
    more(notebook, jobs)
    assert notebook.redis.zrange(notebook.keys.named("claimed"), 0, -1) == [b"page:p0"]
    overtake(notebook, paused)
    check(notebook, jobs)


def test_a_lane_that_was_claimed_with_an_acknowledgement_comes_back_from_an_outage_as_it_was(
    notebook: Notebook, stand: Stand, puppets: Puppets
) -> None:
    jobs = enqueue(notebook)
    acknowledged = Step("after", "worker.drain", "acknowledge")
    paused = puppets.pause(acknowledged, claim_lanes=1, lease_ms=60_000, slice_ms=1_000)
    assert notebook.redis.zrange(notebook.keys.named("claimed"), 0, -1) == [b"page:p1"]
    stand.postgres.kill()
    go_on(paused)
    assert notebook.redis.zcard(notebook.keys.named("claimed")) == 0
    assert all(notebook.head_memory(f"page:p{n}") == (0, 0) for n in range(4))
    stand.postgres.start()
    again = Notebook(notebook.settings)
    again.drain_all()
    check(again, jobs)
    assert again.rows("SELECT DISTINCT attempts FROM onelane.ledger") == [{"attempts": 1}]
    again.close()


def test_a_lane_that_was_claimed_with_an_acknowledgement_is_given_back_when_redis_was_away_just_then(
    notebook: Notebook, stand: Stand, puppets: Puppets
) -> None:
    jobs = enqueue(notebook)
    paused = puppets.pause(Step("after", "worker.drain", "Drain._acknowledge"), claim_lanes=1, lease_ms=60_000)
    claimed = notebook.keys.named("claimed")
    assert notebook.redis.zrange(claimed, 0, -1) == [b"page:p1"]
    stand.redis.kill()
    assert paused.pid is not None
    os.kill(paused.pid, signal.SIGCONT)
    paused.join(3)  # the relay finds Redis away, again and again, and gives up
    assert paused.is_alive(), "it has given up its lanes too"
    stand.redis.start()
    paused.join(20)
    assert paused.exitcode == 1
    assert notebook.redis.zcard(claimed) == 0
    assert all(notebook.head_memory(f"page:p{n}") == (0, 0) for n in range(4))
    notebook.drain_all()
    check(notebook, jobs)


def is_lingering(notebook: Notebook) -> bool:
    """Whether Redis holds a command of a worker until an enqueue calls."""
    return bool(notebook.redis.info("clients")["blocked_clients"])


def snapshot(notebook: Notebook) -> dict[str, object]:
    """All that a worker may change."""
    tables = ("lines", "pages", "audit", "onelane.ledger", "onelane.outbox")
    rows = {table: notebook.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables}  # noqa: S608 - our own names
    effects = notebook.redis.xrange(notebook.settings.effects_stream)
    return {**rows, "effects": effects, "left": notebook.left_in_redis()}


ISOLATED_STEPS = [
    Step("before", "worker.isolation", "apply"),
    Step("after", "worker.isolation", "apply"),
    Step("before", "worker.drain", "Drain._hold"),
    Step("after", "worker.drain", "Drain._hold"),
    Step("before", "worker.drain", "acknowledge"),
    Step("after", "worker.drain", "acknowledge"),
]


@pytest.mark.parametrize("step", ISOLATED_STEPS, ids=str)
def test_a_worker_that_is_killed_while_it_buries_a_job_never_lets_its_lane_go_on_without_a_hold(
    notebook: Notebook, puppets: Puppets, step: Step
) -> None:
    notebook.make_faulty("bad", "22003")
    notebook.enqueue(Engrave(page="p", text="one"), Engrave(page="p", text="bad"), Engrave(page="p", text="after"))
    notebook.enqueue(Write(page="q", text="beside"))
    puppets.die(step)
    notebook.end_leases()
    worker = notebook.worker()
    for _ in range(2):
        worker.drain()
    assert notebook.lines("q") == ["beside"]
    assert notebook.lines("p") in ([], ["one"])
    notebook.script("resume", "page:p", lane="page:p")
    worker.drain()
    notebook.script("resume", "page:p", lane="page:p")
    worker.drain()
    assert notebook.lines("p") == ["one", "after"]
    dead = notebook.rows("SELECT code, attempts FROM onelane.ledger WHERE status = 'dead'")
    assert dead == [{"code": "permanent", "attempts": 1}]
    assert notebook.left_in_redis() == set()


def test_a_job_that_kills_its_workers_is_found_and_buried_and_costs_its_lane_only_time(
    notebook: Notebook, puppets: Puppets
) -> None:
    (deadly, *_) = notebook.enqueue(Harm(page="p", how="die"), Write(page="p", text="after"))
    notebook.enqueue(*(Write(page=f"q{n}", text="beside") for n in range(5)))
    for _ in range(3):
        puppets.die(None)
        notebook.end_leases()
    notebook.drain_all(notebook.worker(max_deliveries=3))
    assert notebook.ended(deadly.id)["code"] == "crash_loop"
    assert notebook.lines("p") == ["after"]
    assert all(notebook.lines(f"q{n}") == ["beside"] for n in range(5))


def test_two_paused_workers_of_one_lane_wake_up_in_the_wrong_order(notebook: Notebook, puppets: Puppets) -> None:
    jobs = enqueue(notebook)
    within = Step("after", "worker.batch", "_settle")
    first = puppets.pause(within, lease_ms=300)
    notebook.end_leases()
    eventually(lambda: idle_transactions(notebook) == 0, "the server has ended the first one's transaction")
    second = puppets.pause(within, lease_ms=60_000)
    notebook.end_leases()
    third = puppets.start()
    go_on(second)
    go_on(first)
    third.join(20)
    notebook.end_leases()
    notebook.drain_all()
    check(notebook, jobs)


def idle_transactions(notebook: Notebook) -> int:
    """Transactions whose client is silent."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    return len(notebook.rows(query))

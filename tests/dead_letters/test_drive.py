"""A drive: its pace, its stop after failures, and what it leaves to the workers."""

import threading
import time
from collections import Counter
from typing import Any

import pytest
from psycopg import Connection

from tests.dead_letters.conftest import bury, draining
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook
from worker.database import connect
from worker.dead_letters import Filter, count, replay_steps
from worker.dead_letters.drive import Drive
from worker.redis_client import redis_client


def drive(notebook: Notebook, **options: Any) -> Drive:
    """A drive over everything."""
    made = Drive(notebook.settings, notebook.connection, notebook.redis, **options)
    made.run(Filter(), actor="ada", reason=None, force=False)
    return made


def test_everything_is_back_in_its_lane_when_it_returns(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page=f"p{n % 3}", text=str(n)) for n in range(2500)])
    made = drive(notebook)
    assert (made.result.replayed, made.result.refused, made.stopped) == (ids, {}, None)
    assert [notebook.redis.llen(notebook.keys.lane(f"page:p{n}")) for n in range(3)] == [834, 833, 833]
    assert notebook.rows("SELECT FROM onelane.outbox") == []


def test_it_waits_for_the_ends_and_counts_them(notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=text) for text in ("a", "bad", "c")])
    notebook.make_faulty("bad", "22000")
    with draining(notebook):
        made = drive(notebook, wait_seconds=20)
    assert Counter(made.ends.values()) == {"applied": 2, "dead": 1}
    assert (made.failures, made.stopped) == (1, None)


@pytest.mark.parametrize(("limit", "tried"), [(1, 4), (2, 5), (3, 6)])
def test_never_more_than_so_many_die_again(notebook: Notebook, limit: int, tried: int) -> None:
    """The fourth, fifth and sixth are still faulty."""
    texts = ["a", "b", "c", "bad1", "bad2", "bad3", *"defghij"]
    ids = bury(notebook, [Write(page=text, text=text) for text in texts])
    for bad in ("bad1", "bad2", "bad3"):
        notebook.make_faulty(bad, "22000")
    with draining(notebook):
        made = drive(notebook, stop_after_failures=limit, wait_seconds=20)
    assert made.failures == limit
    assert made.stopped == f"{limit} died again"
    assert made.result.replayed == ids[:tried]
    assert count(notebook.connection, Filter()) == limit + len(texts) - tried


def test_it_stops_when_a_step_does_not_end(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page=text, text=text) for text in "abc"])
    made = drive(notebook, stop_after_failures=2, wait_seconds=0.2)
    assert made.stopped == "2 have not ended within 0.2 s"
    assert made.result.replayed == ids[:2]


def test_a_rate_is_kept(notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=str(n)) for n in range(30)])
    began = time.monotonic()
    drive(notebook, rate=40)
    assert time.monotonic() - began >= 30 / 40


def test_what_a_step_was_late_is_not_made_up_for(notebook: Notebook) -> None:
    """After a stall the rate is still what an operator trusts the servers with."""
    bury(notebook, [Write(page="p", text=str(n)) for n in range(20)])
    done: list[int] = []

    def late_once(more: int) -> None:
        if more and not any(done):
            time.sleep(0.5)
        done.append(more)

    began = time.monotonic()
    drive(notebook, rate=20, advance=late_once)
    assert [more for more in done if more] == [5, 5, 5, 5]
    assert time.monotonic() - began >= 0.5 + 3 * 5 / 20


def test_a_slow_rate_sends_one_at_a_time(notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=str(n)) for n in range(3)])
    made = Drive(notebook.settings, notebook.connection, notebook.redis, rate=0.5)
    steps = replay_steps(notebook.connection, Filter(), actor="ada", size=made._size)
    assert [len(step.replayed) for step in steps] == [0, 1, 1, 1]


def test_while_redis_is_away_the_workers_are_left_to_deliver(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page="p", text=text) for text in "abc"])
    away = notebook.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0", "redis_timeout_ms": 100})
    with connect(away) as connection, redis_client(away) as redis:
        made = Drive(away, connection, redis)
        made.run(Filter(), actor="ada", reason=None, force=False)
        assert (made.result.replayed, made.undelivered()) == (ids, 3)
    notebook.drain_all()
    assert notebook.lines("p") == list("abc")


def test_a_lane_that_is_at_work_gets_its_own_when_the_batch_is_over(notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=text) for text in "abc"])
    notebook.enqueue(Write(page="p", text="d"))
    claim = notebook.worker().claimer().claim()
    release = threading.Timer(
        0.3,
        notebook.script,
        ["park", "page:p", claim.token, 60_000_000, "", 0],  # type: ignore[union-attr]  # it is one
        {"lane": "page:p"},
    )
    release.start()
    made = drive(notebook)
    release.join()
    assert made.undelivered() == 0
    assert notebook.redis.llen(notebook.keys.lane("page:p")) == 4


def test_two_who_replay_the_same_at_once_share_the_work(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page=f"p{n % 10}", text=f"{n:04}") for n in range(3000)])
    done: list[list[str]] = []

    def replay_all(connection: Connection) -> None:
        steps = replay_steps(connection, Filter(), actor="ada", size=lambda: 50)
        done.append([job_id for step in steps for job_id in step.replayed])

    with connect(notebook.settings) as one, connect(notebook.settings) as other, draining(notebook):
        both = [threading.Thread(target=replay_all, args=[connection]) for connection in (one, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    notebook.drain_all()
    assert sorted(done[0] + done[1], key=ids.index) == ids
    for page in range(10):
        assert notebook.lines(f"p{page}") == [f"{n:04}" for n in range(page, 3000, 10)]


def test_live_jobs_and_replays_of_one_lane_keep_their_order(notebook: Notebook) -> None:
    """Replays go on while newer jobs of the same lane come in: those that were not overtaken are in order."""
    bury(notebook, [Write(page="p", text=f"old{n:03}") for n in range(300)])
    with draining(notebook, workers=2), connect(notebook.settings) as connection:
        steps = replay_steps(connection, Filter(), actor="ada", size=lambda: 20)
        made = Drive(notebook.settings, connection, notebook.redis)
        for number, step in enumerate(steps):
            made.result.add(step)
            made.deliver()
            notebook.enqueue(Write(page="p", text=f"live{number:03}"))
    notebook.drain_all()
    lines = notebook.lines("p")
    assert [line for line in lines if line.startswith("live")] == [f"live{n:03}" for n in range(16)]
    old = [line for line in lines if line.startswith("old")]
    assert old == sorted(old)
    first_live = lines.index("live000")
    assert lines[:first_live] == old
    ends = Counter((row["status"], row["code"]) for row in notebook.rows("SELECT status, code FROM onelane.ledger"))
    assert ends["applied", "written"] == len(lines) == len(set(lines))
    assert sum(ends.values()) == 316
    assert set(ends) <= {("applied", "written"), ("dead", "overtaken"), ("dead", "permanent")}


@pytest.mark.parametrize(
    ("pace", "sent"),
    [({"wait_seconds": 60}, 3), ({"rate": 0.01}, 1), ({"stop_after_failures": 2, "wait_seconds": 60}, 2)],
)
def test_an_interruption_ends_every_kind_of_waiting(notebook: Notebook, pace: dict[str, Any], sent: int) -> None:
    ids = bury(notebook, [Write(page="p", text=text) for text in "abc"])
    made = Drive(notebook.settings, notebook.connection, notebook.redis, **pace)
    interruption = threading.Timer(0.3, made.interrupt)
    interruption.start()
    began = time.monotonic()
    made.run(Filter(), actor="ada", reason=None, force=False)
    interruption.join()
    assert time.monotonic() - began < 20
    assert (made.stopped, made.result.replayed, made.undelivered()) == ("interrupted", ids[:sent], 0)

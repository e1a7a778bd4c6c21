"""Promise 6: a worker that is paused within its transaction makes others wait for a while, and does no other harm."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.errors import IdleInTransactionSessionTimeout

from tests.integration.kinds import Tell, Write
from tests.integration.notebook import Notebook, Worker, eventually
from worker.claim import Claim
from worker.database import connect
from worker.query import query


@contextmanager
def paused_in(notebook: Notebook, lane: str, lease_ms: int = 60_000) -> Iterator[psycopg.Connection]:
    """A worker that has claimed all that is ready and was paused in its transaction, behind the fence of one lane."""
    claim = notebook.worker("paused").claimer().claim()
    assert isinstance(claim, Claim)
    notebook.end_leases()
    with connect(notebook.settings.model_copy(update={"lease_ms": lease_ms})) as connection:
        connection.execute("BEGIN")
        connection.execute(query("fence"), {"token": claim.token, "lanes": [lane]})
        yield connection


def drain_for_a_while(worker: Worker, notebook: Notebook, times: int = 8) -> None:
    for _ in range(times):
        worker.drain()
        notebook.end_backoffs()


def test_a_lane_with_a_paused_transaction_waits_and_uses_up_no_attempt(notebook: Notebook) -> None:
    notebook.enqueue(*(Write(page=page, text="one") for page in ("p", "q", "r")))
    worker = notebook.worker("w2", lock_timeout_ms=50, max_attempts=2, slice_ms=300)
    with paused_in(notebook, "page:q"):
        drain_for_a_while(worker, notebook)
        assert [notebook.lines(page) for page in "pqr"] == [["one"], [], ["one"]]
        assert notebook.head_memory("page:q") == (0, 1)
        notebook.enqueue(*(Write(page=page, text="two") for page in ("p", "q", "r")))
        drain_for_a_while(worker, notebook)
        assert [notebook.lines(page) for page in "pqr"] == [["one", "two"], [], ["one", "two"]]
    notebook.drain_all(worker)
    assert notebook.lines("q") == ["one", "two"]
    assert notebook.ends() == [("applied", "written")] * 6
    assert notebook.rows("SELECT DISTINCT attempts FROM onelane.ledger") == [{"attempts": 1}]


def test_a_busy_lane_is_claimed_alone_and_makes_no_other_lane_wait_for_it(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="q", text="one"))
    worker = notebook.worker("w2", lock_timeout_ms=2000, slice_ms=50)
    with paused_in(notebook, "page:q"):
        worker.drain()
        assert notebook.redis.hkeys(notebook.keys.named("attempts")) == [b"page:q"]
        notebook.enqueue(*(Write(page=f"p{n}", text="x") for n in range(5)))
        began = time.monotonic()
        assert worker.drain() == {"applied": 5}
        assert time.monotonic() - began < 1.75  # who waits for the lock waits for 2 s
        notebook.redis.hdel(notebook.keys.named("crashes"), "page:q")  # it is remembered as busy, not for that alone
        notebook.end_backoffs()
        notebook.enqueue(Write(page="p0", text="y"), Write(page="p1", text="y"))
        claimer = worker.claimer()
        claims = [claimer.claim() for _ in range(2)]
        names = [[lane.name for lane in claim.lanes] for claim in claims if isinstance(claim, Claim)]
        assert names == [["page:q"], ["page:p0", "page:p1"]]


def test_the_server_ends_a_transaction_that_was_paused_for_longer_than_a_lease(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="q", text="one"))
    with paused_in(notebook, "page:q", lease_ms=200) as connection:
        notebook.drain_all(notebook.worker("w2", lock_timeout_ms=50))
        assert notebook.lines("q") == ["one"]
        with pytest.raises(IdleInTransactionSessionTimeout):
            connection.execute("SELECT 1")


def test_a_paused_relay_makes_no_lane_wait_and_nothing_in_the_outbox_is_lost(notebook: Notebook) -> None:
    notebook.enqueue(Tell(page="p", text="news", other="q"), Write(page="r", text="beside"))
    worker = notebook.worker("w2", lock_timeout_ms=50)
    with psycopg.connect(notebook.settings.database_url) as paused:
        paused.execute(query("outbox_lock"))
        assert worker.drain() == {"applied": 2}
        notebook.enqueue(Write(page="r", text="more"))
        assert worker.drain() == {"applied": 1}
        assert notebook.lines("q") == []
    assert worker.drain() == {"applied": 1}
    assert notebook.lines("q") == ["news"]


def test_an_end_that_can_not_be_recorded_is_tried_again_and_stops_nobody_else(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "22003")
    notebook.connection.execute("ALTER TABLE onelane.ledger ADD CONSTRAINT no_dead CHECK (status <> 'dead')")
    worker = notebook.worker(slice_ms=100)
    try:
        notebook.enqueue(Write(page="p", text="bad"), Write(page="p", text="after"), Write(page="q", text="beside"))
        notebook.put("page:q", b"garbage")
        for _ in range(6):
            worker.drain()
        assert notebook.lines("p") == []
        assert notebook.lines("q") == ["beside"]
        notebook.enqueue(Write(page="r", text="beside"))
        eventually(lambda: bool(worker.drain()["applied"]), "the others go on")
    finally:
        notebook.connection.execute("ALTER TABLE onelane.ledger DROP CONSTRAINT no_dead")
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["after"]
    assert sorted(row["code"] for row in notebook.rows("SELECT code FROM onelane.ledger WHERE status = 'dead'")) == [
        "damaged",
        "permanent",
    ]
    assert notebook.left_in_redis() == set()

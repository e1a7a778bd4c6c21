"""Promise 6: two real transactions against each other on one lane; the newer claim wins, whichever comes first."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest

from tests.integration.kinds import Write
from tests.integration.notebook import Notebook, eventually
from worker.batch import Batch, apply
from worker.database import connect
from worker.enqueue import order
from worker.entry import Entry


def entry(notebook: Notebook, page: str, text: str, seq: int = 1) -> Entry:
    """An entry as a claim gives it."""
    made = order(Write(page=page, text=text), notebook.settings, actor="U0WRITER")
    return Entry.read(made.lane, b'{"seq":%d,%s' % (seq, made.body[1:]), 1, 0)


class Rivals:
    """Transactions of several workers, each in a thread and on a connection of its own."""

    def __init__(self, notebook: Notebook) -> None:
        self._settings = notebook.settings.model_copy(update={"lock_timeout_ms": 20_000})
        self._connection = notebook.connection
        self._pool = ThreadPoolExecutor()
        self._opened: list[psycopg.Connection] = []

    def apply(self, token: int, *entries: Entry) -> Future[Batch]:
        """Begin a worker's transaction."""
        lanes = {each.envelope.lane: [each] for each in entries}
        connection = connect(self._settings, name=f"rival {token}")
        self._opened.append(connection)
        return self._pool.submit(apply, connection, token, f"w{token}", lanes)

    def wait_until_blocked(self, token: int) -> None:
        """Wait until this worker's transaction waits for a lock."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
        eventually(
            lambda: self._connection.execute(query, [f"rival {token}"]).fetchone() is not None,
            f"the transaction with token {token} is blocked",
        )

    def kill(self, token: int) -> None:
        """End the backend of this worker's transaction, as an administrator or a lost connection would."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [f"rival {token}"]
        )

    def close(self) -> None:
        """End all."""
        self._pool.shutdown()
        for connection in self._opened:
            connection.close()


@pytest.fixture
def rivals(notebook: Notebook) -> Iterator[Rivals]:
    opened = Rivals(notebook)
    yield opened
    opened.close()


@contextmanager
def page_locked(notebook: Notebook, page: str) -> Iterator[None]:
    """Whoever writes on this page waits, in the midst of a transaction."""
    with psycopg.connect(notebook.settings.database_url) as connection:
        connection.execute("SELECT FROM pages WHERE page = %s FOR UPDATE", [page])
        yield


@pytest.fixture(autouse=True)
def a_written_page(notebook: Notebook) -> None:
    with connect(notebook.settings) as connection:
        apply(connection, 1, "w1", {"page:p": [entry(notebook, "p", "before")]})


def test_an_older_claim_that_comes_after_a_newer_one_changes_nothing(notebook: Notebook, rivals: Rivals) -> None:
    newer, older = entry(notebook, "p", "newer"), entry(notebook, "p", "older")
    assert list(rivals.apply(3, newer).result().ends) == ["page:p"]
    refused = rivals.apply(2, older).result()
    assert refused.ends == {}
    assert refused.newest_token == 3
    assert notebook.lines("p") == ["before", "newer"]
    assert len(notebook.ends()) == 2


def test_an_older_claim_waits_for_a_newer_ones_transaction_and_is_then_dropped(
    notebook: Notebook, rivals: Rivals
) -> None:
    with page_locked(notebook, "p"):
        newer = rivals.apply(3, entry(notebook, "p", "newer"))
        rivals.wait_until_blocked(3)
        older = rivals.apply(2, entry(notebook, "p", "older"))
        rivals.wait_until_blocked(2)
    assert list(newer.result().ends) == ["page:p"]
    assert older.result().ends == {}
    assert notebook.lines("p") == ["before", "newer"]


def test_a_newer_claim_waits_for_an_older_ones_transaction_and_then_knows_what_it_did(
    notebook: Notebook, rivals: Rivals
) -> None:
    job = entry(notebook, "p", "once")
    with page_locked(notebook, "p"):
        older = rivals.apply(2, job)
        rivals.wait_until_blocked(2)
        newer = rivals.apply(3, job)
        rivals.wait_until_blocked(3)
    assert [end.repeated for _, end in older.result().ends["page:p"]] == [False]
    assert [end.repeated for _, end in newer.result().ends["page:p"]] == [True]
    assert notebook.lines("p") == ["before", "once"]


def test_an_older_claim_goes_on_when_the_newer_ones_transaction_is_undone(notebook: Notebook, rivals: Rivals) -> None:
    job = entry(notebook, "p", "once")
    with page_locked(notebook, "p"):
        newer = rivals.apply(3, job)
        rivals.wait_until_blocked(3)
        older = rivals.apply(2, job)
        rivals.wait_until_blocked(2)
        rivals.kill(3)
        with pytest.raises(psycopg.OperationalError):
            newer.result()
    assert list(older.result().ends) == ["page:p"]
    assert [end.repeated for _, end in rivals.apply(4, job).result().ends["page:p"]] == [True]
    assert notebook.lines("p") == ["before", "once"]


def test_only_the_lane_with_a_newer_claim_is_dropped_from_a_batch(notebook: Notebook, rivals: Rivals) -> None:
    rivals.apply(9, entry(notebook, "q", "newest")).result()
    batch = rivals.apply(5, *(entry(notebook, page, "five") for page in "pqr")).result()
    assert sorted(batch.ends) == ["page:p", "page:r"]
    assert batch.newest_token == 9
    assert [notebook.lines(page) for page in "pqr"] == [["before", "five"], ["newest"], ["five"]]


def test_the_same_claim_may_go_on_after_its_transaction_was_undone(notebook: Notebook, rivals: Rivals) -> None:
    with page_locked(notebook, "p"):
        first = rivals.apply(2, entry(notebook, "p", "again"))
        rivals.wait_until_blocked(2)
        rivals.kill(2)
        with pytest.raises(psycopg.OperationalError):
            first.result()
    assert list(rivals.apply(2, entry(notebook, "p", "again")).result().ends) == ["page:p"]
    assert notebook.lines("p") == ["before", "again"]


def test_many_claims_of_the_same_lanes_in_any_order_neither_deadlock_nor_apply_twice(notebook: Notebook) -> None:
    chance = random.Random(notebook.settings.prefix)
    jobs = [entry(notebook, f"p{n}", f"t{n}") for n in range(20)]
    begin = threading.Barrier(4)

    def race(first_token: int) -> None:
        connection = connect(notebook.settings.model_copy(update={"lock_timeout_ms": 20_000}), name=uuid4().hex)
        with connection:
            begin.wait()
            for token in range(first_token, first_token + 40, 4):
                mixed = chance.sample(jobs, len(jobs))
                apply(connection, token, "w", {job.envelope.lane: [job] for job in mixed})

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(race, first) for first in range(10, 14)]:
            future.result()
    assert [notebook.lines(f"p{n}") for n in range(20)] == [[f"t{n}"] for n in range(20)]

"""Promise 5, as far as it shows without stopping a server: an outage is not a failure."""

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tests.databases import name_of
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook, eventually
from worker.session import INCIDENT

PAGES = [f"p{n}" for n in range(10)]


@pytest.fixture
def read_only(notebook: Notebook) -> Iterator[None]:
    """A server that lets everybody in and writes nothing, like a replica after a failover."""
    database = sql.Identifier(name_of(notebook.settings.database_url))
    notebook.connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database))
    yield
    reset = sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(database)
    notebook.connection.execute(reset)


def cut_connections(notebook: Notebook) -> None:
    """End every backend of the database but our own, as a restart or an administrator would."""
    notebook.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def told(notebook: Notebook) -> list[str]:
    """The incidents that are open."""
    return list(notebook.worker().alerts.open())


@pytest.mark.usefixtures("read_only")
def test_a_server_that_can_not_write_is_an_outage_that_is_told_and_not_hammered(notebook: Notebook) -> None:
    for number in range(3):
        notebook.enqueue(*(Write(page=page, text=str(number)) for page in PAGES))
    worker = notebook.worker(slice_ms=1000, max_attempts=2, max_deliveries=2)
    began = time.monotonic()
    for _ in range(3):
        assert worker.drain() == {"outage": 1}
    tries = notebook.redis.hget(notebook.keys.named("incident_counts"), INCIDENT)
    assert told(notebook) == [INCIDENT]
    assert 1 <= int(tries or 1) <= 12, f"{tries!r} tries in {time.monotonic() - began:.1f} s"
    assert all(notebook.head_memory(f"page:{page}") == (0, 0) for page in PAGES)

    database = sql.Identifier(name_of(notebook.settings.database_url))
    notebook.connection.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(database))
    worker = notebook.worker()
    assert notebook.drain_all(worker) == {"applied": 30}
    assert all(notebook.lines(page) == ["0", "1", "2"] for page in PAGES)
    assert notebook.rows("SELECT DISTINCT attempts FROM onelane.ledger") == [{"attempts": 1}]


def test_the_same_worker_tells_that_the_outage_is_over(notebook: Notebook) -> None:
    database = sql.Identifier(name_of(notebook.settings.database_url))
    notebook.enqueue(Write(page="p", text="one"))
    worker = notebook.worker(slice_ms=1000)
    setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
    try:
        notebook.connection.execute(setting.format(database, sql.SQL("on")))
        assert worker.drain() == {"outage": 1}
        assert worker.session.is_away
    finally:
        notebook.connection.execute(setting.format(database, sql.SQL("off")))
    cut_connections(notebook)
    assert notebook.drain_all(worker)["applied"] == 1
    assert not worker.session.is_away


def test_a_connection_that_was_cut_once_is_made_again_and_no_incident(notebook: Notebook) -> None:
    worker = notebook.worker()
    notebook.enqueue(Write(page="p", text="one"))
    worker.drain()
    cut_connections(notebook)
    notebook.enqueue(Write(page="p", text="two"))
    worker.drain()
    assert notebook.lines("p") == ["one", "two"]
    assert notebook.head_memory("page:p") == (0, 0)
    assert told(notebook) == []


def test_connections_that_are_cut_again_and_again_cost_no_attempt_and_no_order(notebook: Notebook) -> None:
    for number in range(40):
        notebook.enqueue(*(Write(page=page, text=str(number)) for page in PAGES))
    worker = notebook.worker(claim_jobs=20, max_attempts=2, slice_ms=200)
    done = threading.Event()
    cuts = 0

    def cut() -> None:
        nonlocal cuts
        with psycopg.connect(notebook.settings.database_url, autocommit=True) as connection:
            while not done.wait(0.02):
                (ended,) = connection.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'w1'"
                ).fetchone() or (0,)
                cuts += ended

    cutter = threading.Thread(target=cut)
    cutter.start()
    try:
        eventually(lambda: bool(worker.drain() is not None and cuts > 10), "connections were cut")
    finally:
        done.set()
        cutter.join()
    notebook.drain_all(worker)
    assert all(notebook.lines(page) == [str(n) for n in range(40)] for page in PAGES)
    assert notebook.rows("SELECT DISTINCT status, attempts FROM onelane.ledger") == [
        {"status": "applied", "attempts": 1}
    ]

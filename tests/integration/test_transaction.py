"""The pipelined transaction commits all or nothing, says which statement failed, and leaves a usable connection."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import Connection, Rollback
from psycopg.errors import DivisionByZero, InFailedSqlTransaction, UniqueViolation

from worker.transaction import pipelined_transaction

ADD = "INSERT INTO numbers VALUES (%s)"


@pytest.fixture
def connection(empty_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_database_url, autocommit=True) as opened:
        opened.execute("CREATE TABLE numbers (n integer PRIMARY KEY)")
        yield opened


def numbers(connection: Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


def add(connection: Connection, *values: int, error: type[BaseException] | None = None) -> None:
    with pipelined_transaction(connection):
        for n in values:
            connection.execute(ADD, [n])
        if error is not None:
            raise error


def test_all_is_committed_at_the_end(connection: Connection) -> None:
    with pipelined_transaction(connection) as sync:
        first = connection.execute(ADD + " RETURNING n", [1])
        sync()
        assert first.fetchone() == (1,)
        last = connection.execute(ADD + " RETURNING n", [2])
    assert last.fetchone() == (2,)
    assert numbers(connection) == [1, 2]


@pytest.mark.parametrize("behind", [0, 1, 5])
def test_an_error_that_nobody_awaited_is_raised_and_nothing_has_happened(
    connection: Connection, behind: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            with pytest.raises(UniqueViolation):
                add(connection, 1, 1, *range(2, 2 + behind))
            assert numbers(connection) == []
    assert caplog.records == []


def test_an_error_in_the_middle_is_raised_where_it_is_awaited_if_not_before(connection: Connection) -> None:
    def divide(sync: Callable[[], None]) -> None:
        connection.execute("SELECT 1 / 0")
        connection.execute(ADD, [2])  # the answer may be there already
        sync()

    with pipelined_transaction(connection) as sync:
        connection.execute(ADD, [1])
        with pytest.raises(DivisionByZero):
            divide(sync)
        raise Rollback
    assert numbers(connection) == []


def test_a_failed_transaction_is_never_taken_for_a_commit(connection: Connection) -> None:
    def swallow() -> None:
        with pipelined_transaction(connection) as sync:
            connection.execute(ADD, [1])
            connection.execute("SELECT 1 / 0")
            with suppress(DivisionByZero):
                sync()

    with pytest.raises(InFailedSqlTransaction):
        swallow()
    assert numbers(connection) == []


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_of_the_block_leaves_nothing(connection: Connection, error: type[BaseException]) -> None:
    with pytest.raises(error):
        add(connection, 1, error=error)
    assert numbers(connection) == []


def test_a_lost_connection_is_said(connection: Connection, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as killer:

        def die() -> None:
            with pipelined_transaction(connection) as sync:
                connection.execute(ADD, [1])
                sync()
                killer.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
                connection.execute(ADD, [2])

        with pytest.raises(psycopg.OperationalError):
            die()
        assert connection.closed
        assert numbers(killer) == []


MEGABYTES = "x" * 8_000_000
"""Far more than a socket takes at once."""


@pytest.fixture
def impatient(connection: Connection) -> Iterator[Connection]:
    """The connection, cut after 10 s: the server itself would wait for the rest of a message for ever."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        cut = threading.Timer(10, line.shutdown, [socket.SHUT_RDWR])
        cut.start()
        yield connection
        cut.cancel()
        cut.join()


def test_a_server_at_work_gets_all_that_is_sent_to_it_meanwhile(impatient: Connection) -> None:
    with pipelined_transaction(impatient) as sync:
        impatient.execute("SELECT pg_sleep(0.2)")
        length = impatient.execute("SELECT length(%s)", [MEGABYTES])
        sync()
        assert length.fetchone() == (len(MEGABYTES),)
        impatient.execute("SELECT pg_sleep(0.2)")
        length = impatient.execute("SELECT length(%s)", [MEGABYTES])
    assert length.fetchone() == (len(MEGABYTES),)


def test_a_server_that_fails_while_much_is_sent_says_so(impatient: Connection) -> None:
    def fail() -> None:
        with pipelined_transaction(impatient):
            impatient.execute("SELECT 1 / 0 FROM pg_sleep(0.2)")
            impatient.execute("SELECT length(%s)", [MEGABYTES])

    with pytest.raises(DivisionByZero):
        fail()
    assert numbers(impatient) == []

"""The pipelined transaction commits all or nothing, says which statement failed, and leaves a usable connection."""

import logging
from collections.abc import Iterator
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
    with pipelined_transaction(connection) as pipeline:
        first = connection.execute(ADD + " RETURNING n", [1])
        pipeline.sync()
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


def test_an_error_in_the_middle_is_raised_where_it_is_awaited(connection: Connection) -> None:
    with pipelined_transaction(connection) as pipeline:
        connection.execute(ADD, [1])
        connection.execute("SELECT 1 / 0")
        connection.execute(ADD, [2])
        with pytest.raises(DivisionByZero):
            pipeline.sync()
        raise Rollback
    assert numbers(connection) == []


def test_a_failed_transaction_is_never_taken_for_a_commit(connection: Connection) -> None:
    def swallow() -> None:
        with pipelined_transaction(connection) as pipeline:
            connection.execute(ADD, [1])
            connection.execute("SELECT 1 / 0")
            with suppress(DivisionByZero):
                pipeline.sync()

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
            with pipelined_transaction(connection) as pipeline:
                connection.execute(ADD, [1])
                pipeline.sync()
                killer.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
                connection.execute(ADD, [2])

        with pytest.raises(psycopg.OperationalError):
            die()
        assert connection.closed
        assert numbers(killer) == []

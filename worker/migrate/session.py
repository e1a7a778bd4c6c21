"""The connection of one migrator: alone by an advisory lock, impatient for every other lock.

A step waits for a table lock for `LOCK_TIMEOUT` only, then gives way and tries again: while it waits, every later query
on that table queues up behind it. The time-out is shorter than PostgreSQL's `deadlock_timeout` (1 s), so in a deadlock
with a running bot it is always the migrator that gives way.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
import tenacity
from psycopg import errors

from worker.errors import ConfigurationError

T = TypeVar("T")

LOCK_KEY = 0x6F6E656C616E65  # "onelane"
LOCK_TIMEOUT = "500ms"
LOCK_RETRY_SECONDS = 60.0
OTHER_MIGRATOR_SECONDS = 600.0
CONFLICTS = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)


@contextmanager
def connect(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit. Raises ConfigurationError when the database can't be reached or refuses us."""
    try:
        with psycopg.connect(
            database_url,
            autocommit=True,
            application_name="onelane migrate",
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        ) as connection:
            connection.execute("SET search_path = public")
            connection.execute("SET client_min_messages = warning")
            connection.execute("SET statement_timeout = 0")
            connection.execute(f"SET lock_timeout = '{LOCK_RETRY_SECONDS:.0f}s'")
            yield connection
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(f"The database user lacks a right: {first_line(error)}.") from error
    except errors.ReadOnlySqlTransaction as error:
        raise ConfigurationError("This database is read-only: use the primary's URL.") from error
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:  # libpq's own words may hold a piece of the password
            raise ConfigurationError(
                "The database URL can't be read; expected postgresql://user:password@host:port/database."
            ) from None
        raise
    except CONFLICTS as error:
        raise ConfigurationError(f"A lock was not free: {first_line(error)}; end long transactions first.") from error
    except psycopg.OperationalError as error:
        if error.sqlstate is not None and error.sqlstate[:2] not in {"08", "28", "3D", "53", "57"}:
            raise
        raise ConfigurationError(f"PostgreSQL can't be used: {first_line(error)}.") from error


@contextmanager
def alone(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Hold the migrators' lock; wait for another migrator to end. Raises ConfigurationError after ten minutes.

    It asks again and again instead of waiting inside a query: a waiting query holds a snapshot, and an
    index that the other one builds concurrently would wait for it for ever.
    """
    deadline = time.monotonic() + OTHER_MIGRATOR_SECONDS
    while not _scalar(connection, f"SELECT pg_try_advisory_lock({LOCK_KEY})"):
        if time.monotonic() > deadline:
            raise ConfigurationError("Another `onelane migrate` has been running for ten minutes; wait until it ends.")
        time.sleep(0.1)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(f"SELECT pg_advisory_unlock({LOCK_KEY})")


def in_transaction(connection: psycopg.Connection[Any], work: Callable[[], T], *, keep: bool = True) -> T:
    """Do the work in one transaction, rolled back unless `keep`; again when it can't get a lock.

    Raises ConfigurationError when it never gets it.
    """

    def attempt() -> T:
        with connection.transaction(force_rollback=not keep):
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            return work()

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(CONFLICTS),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
        stop=tenacity.stop_after_delay(LOCK_RETRY_SECONDS),
        reraise=True,
    )
    try:
        return retrying(attempt)
    except CONFLICTS as error:
        raise ConfigurationError(
            f"A lock was not free for {LOCK_RETRY_SECONDS:.0f} s ({first_line(error)}):"
            " end long transactions, then try again."
        ) from error


def first_line(error: Exception) -> str:
    """The first line of a database error, without a full stop; libpq never puts the password there."""
    return str(error).strip().split("\n", 1)[0].rstrip(".") or type(error).__name__


def _scalar(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement).fetchone()
    return row and row[0]

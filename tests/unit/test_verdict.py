"""Whose fault an error is. A wrong word here is a lost job, or a lane that waits for ever."""

import psycopg
import pytest
import redis
from psycopg import errors
from pydantic import BaseModel, ValidationError

from worker.verdict import Failure, Fault, LaneBusy, MustWait, NotKnownYet, judge

SQLSTATES = {
    Fault.OUTAGE: {
        "08000": "connection_exception",
        "08001": "the client can't connect",
        "08003": "connection_does_not_exist",
        "08006": "connection_failure",
        "08007": "the COMMIT's reply was lost",
        "25006": "read_only_sql_transaction: a replica",
        "28000": "invalid_authorization_specification",
        "28P01": "invalid_password",
        "3D000": "the database is not there",
        "53000": "insufficient_resources",
        "53100": "disk_full",
        "53200": "out_of_memory",
        "53300": "too_many_connections",
        "53400": "configuration_limit_exceeded",
        "57P01": "admin_shutdown",
        "57P02": "crash_shutdown",
        "57P03": "cannot_connect_now",
        "57P04": "database_dropped",
        "57P05": "idle_session_timeout",
        "58000": "system_error",
        "58030": "io_error",
    },
    Fault.TRANSIENT: {
        "25P03": "idle_in_transaction_session_timeout",
        "25P04": "transaction_timeout",
        "40001": "serialization_failure",
        "40P01": "deadlock_detected",
        "55P03": "lock_not_available",
        "57014": "statement_timeout",
        "54001": "statement_too_complex, which nobody foresaw",
        "P0001": "raise_exception, which nobody foresaw",
        "XX000": "internal_error, which nobody foresaw",
    },
    Fault.ORDER: {"23503": "foreign_key_violation: what it refers to may still come"},
    Fault.PERMANENT: {
        "0A000": "feature_not_supported",
        "21000": "the same row twice in one upsert",
        "22001": "string_data_right_truncation",
        "22003": "numeric_value_out_of_range",
        "22012": "division_by_zero",
        "22P05": "a NUL that PostgreSQL's text can't hold",
        "23502": "not_null_violation",
        "23505": "unique_violation",
        "23514": "check_violation",
        "23P01": "exclusion_violation",
        "3F000": "invalid_schema_name",
        "42501": "insufficient_privilege",
        "42601": "syntax_error",
        "42703": "undefined_column",
        "42P01": "undefined_table",
        "42P10": "no constraint for this ON CONFLICT",
    },
}


@pytest.mark.parametrize(
    ("sqlstate", "fault"), [(state, fault) for fault, states in SQLSTATES.items() for state in states]
)
def test_the_fault_of_an_sqlstate(sqlstate: str, fault: Fault) -> None:
    error = errors.lookup(sqlstate)("what the server said")
    assert judge(error) == Failure(fault, type(error).__name__, sqlstate, "what the server said")


def bad_value() -> ValidationError:
    """What pydantic raises in a kind's own code."""

    class Number(BaseModel):
        number: int

    with pytest.raises(ValidationError) as raised:
        Number.model_validate({"number": "few"})
    return raised.value


OTHERS = [
    (psycopg.OperationalError("the connection is lost"), Fault.OUTAGE),
    (psycopg.InterfaceError("the connection is closed"), Fault.OUTAGE),
    (errors.ConnectionTimeout("connection timeout expired"), Fault.OUTAGE),
    (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), Fault.PERMANENT),
    (psycopg.ProgrammingError("the query has 1 placeholder but 2 parameters were passed"), Fault.PERMANENT),
    (psycopg.NotSupportedError("not supported by this libpq"), Fault.PERMANENT),
    (redis.ConnectionError("Connection refused"), Fault.OUTAGE),
    (redis.TimeoutError("Timeout reading from socket"), Fault.OUTAGE),
    (redis.BusyLoadingError("Redis is loading the dataset in memory"), Fault.OUTAGE),
    (redis.ReadOnlyError("You can't write against a read only replica"), Fault.OUTAGE),
    (redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'"), Fault.OUTAGE),
    (LaneBusy("another worker's transaction is in this lane"), Fault.BUSY),
    (MustWait("unknown_sprint", "There is no sprint 27."), Fault.ORDER),
    (NotKnownYet("this worker knows no kind 'badge.grant'"), Fault.ORDER),
    (bad_value(), Fault.TRANSIENT),
    (KeyError("po"), Fault.TRANSIENT),
    (OSError(28, "No space left on device"), Fault.TRANSIENT),
    (ConnectionRefusedError(111, "a service of the kind's own"), Fault.TRANSIENT),
    (TimeoutError("a service of the kind's own"), Fault.TRANSIENT),
    (RecursionError("maximum recursion depth exceeded"), Fault.TRANSIENT),
]


@pytest.mark.parametrize(("error", "fault"), OTHERS, ids=lambda value: type(value).__name__)
def test_the_fault_of_an_error_without_sqlstate(error: Exception, fault: Fault) -> None:
    assert judge(error) == Failure(fault, type(error).__name__, None, str(error))


def test_an_error_that_says_nothing_is_called_by_its_class() -> None:
    assert judge(ValueError("  ")).message == "ValueError"


def test_the_constraint_that_was_violated_is_named(connection: psycopg.Connection) -> None:
    connection.execute("CREATE TEMP TABLE t (n int CONSTRAINT only_positive CHECK (n > 0))")
    with pytest.raises(psycopg.Error) as raised:
        connection.execute("INSERT INTO t VALUES (0)")
    failure = judge(raised.value)
    assert (failure.fault, failure.sqlstate, failure.constraint) == (Fault.PERMANENT, "23514", "only_positive")


def test_a_session_that_the_server_ends_is_an_outage_at_the_next_word_too(
    connection: psycopg.Connection, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.info.backend_pid])
    for _ in range(2):
        with pytest.raises(psycopg.Error) as raised:
            connection.execute("SELECT 1")
        assert judge(raised.value).fault is Fault.OUTAGE

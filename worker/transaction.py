"""The transaction of a batch, in pipeline mode: BEGIN goes with the first statements, and COMMIT with the last.

psycopg's own `transaction()` awaits BEGIN before anything else, and all else before COMMIT: two round trips more, which
is an eighth of the time that a single job takes (measured: 1.24 ms against 1.08).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import Connection, OperationalError, Pipeline, Rollback
from psycopg.errors import Error, InFailedSqlTransaction, PipelineAborted
from psycopg.pq import TransactionStatus


@contextmanager
def pipelined_transaction(connection: Connection) -> Iterator[Pipeline]:
    """Commit at the end of the block; after an error, or psycopg's Rollback, nothing has happened.

    The connection is in autocommit mode. Raises psycopg.Error for statements whose answers nobody awaited in the block.
    """
    try:
        with connection.pipeline() as pipeline:
            connection.execute("BEGIN", prepare=True)
            yield pipeline
            commit = connection.execute("COMMIT", prepare=True)
            await_answers(pipeline)
        if commit.statusmessage != "COMMIT":  # the server's answer when a statement has failed, and that is no error
            raise InFailedSqlTransaction("the transaction was rolled back")
    except Rollback:
        pass
    finally:
        if connection.info.transaction_status != TransactionStatus.IDLE and not connection.closed:
            with suppress(OperationalError):  # the connection is lost, and the transaction with it
                connection.rollback()


def await_answers(pipeline: Pipeline) -> None:
    """Await all that was sent. Raises the psycopg.Error of the first statement that failed."""
    try:
        pipeline.sync()
    except Error:
        with suppress(PipelineAborted):  # what was sent after it
            pipeline.sync()
        raise

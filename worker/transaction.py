"""The transaction of a batch, in pipeline mode: BEGIN goes with the first statements, and COMMIT with the last.

psycopg's own `transaction()` awaits BEGIN before anything else, and all else before COMMIT: two round trips more, which
is an eighth of the time that a single job takes (measured: 1.24 ms against 1.08).
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg import Connection, OperationalError, Pipeline, Rollback
from psycopg.errors import InFailedSqlTransaction, PipelineAborted
from psycopg.pq import TransactionStatus


@contextmanager
def pipelined_transaction(connection: Connection) -> Iterator[Pipeline]:
    """Commit at the end of the block; after an error, or psycopg's Rollback, nothing has happened.

    The connection is in autocommit mode. Raises psycopg.Error for statements whose answers nobody awaited in the block.
    """
    try:
        with connection.pipeline() as pipeline:
            try:
                connection.execute("BEGIN", prepare=True)
                yield pipeline
                commit = connection.execute("COMMIT", prepare=True)
                pipeline.sync()
            except BaseException:
                _discard_answers(pipeline)
                raise
        if commit.statusmessage != "COMMIT":  # the server's answer when a statement has failed, and that is no error
            raise InFailedSqlTransaction("the transaction was rolled back")
    except Rollback:
        pass
    finally:
        if connection.info.transaction_status != TransactionStatus.IDLE and not connection.closed:
            with suppress(OperationalError):  # the connection is lost, and the transaction with it
                connection.rollback()


def _discard_answers(pipeline: Pipeline) -> None:
    """What was sent behind a failed statement only says that it was aborted."""
    with suppress(OperationalError):  # the connection is lost
        while True:
            try:
                pipeline.sync()
            except PipelineAborted:
                continue
            break

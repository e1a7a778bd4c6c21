"""What the mirror's files have to say: each table in one statement, so in one snapshot, of committed data alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import LiteralString

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from tasks.bot_files import Content, File, content_of
from tasks.mirror import MirrorFault


def current(connection: Connection, file: File) -> Content:
    """What the file has to say now. Raises BadFile, psycopg.Error."""
    cursor = connection.cursor(row_factory=dict_row)
    return content_of(file, cursor.execute(_query(file)).fetchall())


@contextmanager
def beside(transaction: Connection) -> Iterator[Connection]:
    """Another connection to the same database, for reading what is committed while `transaction` is not.

    What `transaction` has changed so far may be rolled back after the file was renamed, so it must not be read. The new
    connection has the same limits; were a migration to wait for `transaction` and hold up our reads, `lock_timeout`
    ends that. When no further connection is to be had, that is the export's own misfortune, and not an outage.
    """
    info = transaction.info
    try:
        opened = psycopg.connect(
            info.dsn, password=info.password or None, autocommit=True, application_name="onelane-mirror"
        )
    except psycopg.OperationalError as error:
        raise MirrorFault(f"The mirror gets no connection of its own to PostgreSQL: {error}") from error
    with opened:
        yield opened


@cache
def _query(file: File) -> LiteralString:
    return resources.files("tasks").joinpath("sql", f"file.{file}.sql").read_text(encoding="utf-8")

"""The one PostgreSQL connection of a worker or a command, with limits on how long anything may take.

A dead server is noticed by `connect_timeout`, TCP keepalives and `tcp_user_timeout`, all before a lease ends, lest an
outage look like a worker's death; a stuck statement by `statement_timeout` and `lock_timeout`. A worker that was paused
in a transaction loses its locks by `idle_in_transaction_session_timeout` when its lease is over, or at the latest by
`transaction_timeout` (PostgreSQL 17). The session is in UTC, since the bot's columns are timestamps without time zone.

Plans are made once and for any values. On a table that nobody has analyzed yet, PostgreSQL would choose a sequential
scan and keep it while the table grows (measured: 3,900 jobs/s instead of 13,000); so a worker's plans use indexes.
"""

import psycopg
from psycopg import Connection, Cursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import TextLoader

from worker.errors import ConfigurationError
from worker.settings import Settings


def connect(settings: Settings, *, name: str = "onelane") -> Connection:
    """A connection with our limits, in autocommit mode: each unit of work opens its own transaction.

    Raises psycopg.OperationalError when the server can't be reached.
    """
    connection = psycopg.connect(
        settings.require_database(),
        autocommit=True,
        application_name=name,
        connect_timeout=settings.connect_timeout_seconds,
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=min(10_000, settings.lease_ms),
        options=(
            f"-c statement_timeout={settings.statement_timeout_ms} -c lock_timeout={settings.lock_timeout_ms}"
            f" -c idle_in_transaction_session_timeout={settings.lease_ms}"
            " -c TimeZone=UTC -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off"
        ),
    )
    if connection.info.server_version >= 170_000:
        longest = str(settings.task_time_limit_seconds * 1000)
        connection.execute("SELECT set_config('transaction_timeout', %s, false)", [longest])
    return connection


def raw_cursor(connection: Connection) -> Cursor:
    """A cursor that leaves JSON as text: rows pass through us unread."""
    cursor = connection.cursor()
    for name in ("json", "jsonb"):
        cursor.adapters.register_loader(name, TextLoader)
    return cursor


def require_usable(settings: Settings) -> None:
    """Raise ConfigurationError, in a sentence without passwords, unless the database answers and no migration is
    missing.
    """
    from worker.migrate import require_migrated  # noqa: PLC0415 - commands that only connect need not load it

    try:
        with connect(settings) as connection:
            require_migrated(connection, settings.task_modules)
    except psycopg.Error as error:
        raise ConfigurationError(unreachable(settings, error)) from None


def unreachable(settings: Settings, error: Exception) -> str:
    """One sentence on why the database can't be used; never the password."""
    try:
        parts = conninfo_to_dict(settings.require_database())
    except psycopg.ProgrammingError:
        return "ONELANE_DATABASE_URL is not a PostgreSQL URL; expected postgresql://user:password@host:port/database."
    where = f"{parts.get('dbname') or 'the default database'} at {parts.get('host') or 'the local socket'}"
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    password = parts.get("password")
    if password:
        text = text.replace(str(password), "…")
    return f"PostgreSQL ({where}) can't be used: {text.removeprefix('connection failed: ')}"

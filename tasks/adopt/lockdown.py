"""A role for the bot once it enqueues: it reads everything, and writes none of the tables that the workers write.

The bot's own tables (its cron audits, snapshots, migrations) stay writable for it.
"""

from typing import Any

import psycopg
from psycopg import sql

from tasks.adopt.target import TABLES
from worker.errors import ConfigurationError


def lock_down(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Make the role, or bring its rights up to date. Without a password it can't log in before it gets one."""
    name = sql.Identifier(role)
    if not _exists(connection, role):
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(name))
    elif _mighty(connection, role):
        raise ConfigurationError(f"The role {role} owns worker tables or is a superuser: choose a new name.")
    if password:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(password)))
    ours = [table.name for table in TABLES]
    others = [
        row[0]
        for row in connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relname = ANY (%s) ORDER BY relname",
            (ours,),
        )
    ]
    for statement in (
        "GRANT USAGE ON SCHEMA public, onelane TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public, onelane TO {role}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {ours} FROM {role}",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {ours} FROM PUBLIC",
        *(["GRANT INSERT, UPDATE, DELETE ON {others} TO {role}"] if others else []),
    ):
        connection.execute(sql.SQL(statement).format(role=name, ours=_list(ours), others=_list(others)))
    _grant_sequences(connection, name, others)


def unlock(connection: psycopg.Connection[Any], role: str) -> None:
    """Take the role away with its rights. Raises ConfigurationError when it is not one of ours."""
    if not _exists(connection, role):
        raise ConfigurationError(f"There is no role {role}.")
    if _mighty(connection, role):
        raise ConfigurationError(f"The role {role} owns worker tables or is a superuser: it was not made by lockdown.")
    connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def _grant_sequences(connection: psycopg.Connection[Any], name: sql.Identifier, tables: list[str]) -> None:
    rows = connection.execute(
        "SELECT s.relname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')"
        " JOIN pg_class t ON t.oid = d.refobjid WHERE s.relkind = 'S' AND t.relname = ANY (%s)"
        " AND t.relnamespace = 'public'::regnamespace",
        (tables,),
    )
    for (sequence,) in rows.fetchall():
        connection.execute(sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier("public", sequence), name))


def _list(tables: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier("public", table) for table in tables)


def _exists(connection: psycopg.Connection[Any], role: str) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is not None


def _mighty(connection: psycopg.Connection[Any], role: str) -> bool:
    row = connection.execute(
        "SELECT rolsuper OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relname = ANY (%s) AND pg_has_role(r.oid, relowner, 'USAGE')) FROM pg_roles r WHERE rolname = %s",
        ([table.name for table in TABLES], role),
    ).fetchone()
    return bool(row and row[0])

"""A role for the bot once it enqueues: it reads everything, and writes none of the tables that the workers write.

The bot's own tables (its cron audits, snapshots, migrations) stay writable for it. A comment on the role says that it
was made here; no other role is ever changed or dropped.
"""

from typing import Any

import psycopg
from psycopg import sql

from tasks.adopt.target import TABLES
from worker.errors import ConfigurationError

MADE_HERE = "Made by onelane migrate lockdown: reads everything, writes none of the workers' tables."
OURS = [table.name for table in TABLES]
SCHEMAS = ("public", "onelane", "triage")


def lock_down(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    """Make the role, or bring its rights up to date. Without a password it can't log in before it gets one.

    Raises ConfigurationError when the name belongs to another role, or this one could write all the same.
    """
    name = sql.Identifier(role)
    if not _is_there(connection, role):
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(name))
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, MADE_HERE))
    if password:
        # Hashed here, so that no log of the server ever has it.
        secret = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, secret))
    for schema in map(sql.Identifier, SCHEMAS):
        for statement in (
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
            "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role}",
            "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role}",
        ):
            connection.execute(sql.SQL(statement).format(schema=schema, role=name))
    _leave_its_own(connection, name)
    _require_no_way_to_write(connection, role)


def unlock(connection: psycopg.Connection[Any], role: str) -> None:
    """Take the role away with its rights. Raises ConfigurationError when it is not one of ours, or owns something."""
    if not _is_there(connection, role):
        raise ConfigurationError(f"There is no role {role}.")
    owns = "SELECT FROM pg_shdepend JOIN pg_roles r ON r.oid = refobjid WHERE rolname = %s AND deptype = 'o' LIMIT 1"
    if connection.execute(owns, (role,)).fetchone() is not None:
        raise ConfigurationError(f"The role {role} owns something: REASSIGN OWNED BY it first.")
    connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
    try:
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    except psycopg.errors.DependentObjectsStillExist:
        raise ConfigurationError(f"The role {role} has rights in another database: run this there first.") from None


def _is_there(connection: psycopg.Connection[Any], role: str) -> bool:
    """Whether a role of ours has this name. Raises ConfigurationError when another one has it."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (role,)
    ).fetchone()
    if row is not None and row[0] != MADE_HERE:
        raise ConfigurationError(f"The role {role} was not made by `onelane migrate lockdown`: choose another name.")
    return row is not None


def _leave_its_own(connection: psycopg.Connection[Any], role: sql.Identifier) -> None:
    """All tables of the bot that the workers don't write, and what numbers their rows."""
    rows = connection.execute(
        "SELECT t.relname, s.relname FROM pg_class t"
        " LEFT JOIN pg_depend d ON d.refobjid = t.oid AND d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass"
        " LEFT JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
        " WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relname = ANY (%s)",
        (OURS,),
    ).fetchall()
    for table, sequence in rows:
        grant = sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO {}")
        connection.execute(grant.format(sql.Identifier("public", table), role))
        if sequence is not None:
            grant = sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}")
            connection.execute(grant.format(sql.Identifier("public", sequence), role))


def _require_no_way_to_write(connection: psycopg.Connection[Any], role: str) -> None:
    """Rights of PUBLIC and of groups count too; they are not ours to take away."""
    [(writable,)] = connection.execute(
        "SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.oid::regclass::text) FROM pg_class c"
        " WHERE relkind IN ('r', 'p') AND (relnamespace = 'public'::regnamespace AND relname = ANY (%(ours)s)"
        "       OR relnamespace IN ('onelane'::regnamespace, 'triage'::regnamespace))"
        " AND (has_table_privilege(%(role)s, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')"
        "      OR has_any_column_privilege(%(role)s, c.oid, 'INSERT, UPDATE')"
        "      OR pg_has_role(%(role)s, relowner, 'MEMBER'))",
        {"ours": OURS, "role": role},
    ).fetchall()
    if writable:
        raise ConfigurationError(
            f"{role} could still write {writable}, by a right of PUBLIC or of a group: REVOKE that first."
        )

"""`lockdown`: a role that reads everything and writes none of the workers' tables; no other role is touched."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from tests.databases import name_of
from tests.migrations.shapes import build
from tests.migrations.snapshot import execute
from worker.errors import ConfigurationError
from worker.heartbeat import Heartbeat
from worker.migrate import lockdown, migrate, unlock
from worker.outbox import put

TABLES = ("users", "sprints", "current_state", "overrides", "audit_logs", "admin_channel_membership")
ENGINE = ("migrations", "undo", "archive", "fences", "ledger", "outbox")


@pytest.fixture
def role(one_database: str) -> Iterator[str]:
    """A role name of these tests' own, gone after each."""
    name = f"bot_{name_of(one_database)[5:25]}"
    yield name
    with psycopg.connect(one_database, autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is not None:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def as_role(url: str, role: str, statement: str) -> list[tuple[object, ...]]:
    """Run a statement as the role; an answer if it has one."""
    with psycopg.connect(make_conninfo(url, user=role), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_it_reads_all_and_writes_none_of_the_workers_tables(database_url: str, role: str) -> None:
    """Every table of the bot and of the engine; every way to write; also by the functions of the rotation."""
    lockdown(database_url, role)
    for table in (*(f"public.{name}" for name in TABLES), *(f"onelane.{name}" for name in ENGINE), "triage.reminders"):
        as_role(database_url, role, f"SELECT count(*) FROM {table}")  # noqa: S608 - our own names
        for statement in (
            f"INSERT INTO {table} DEFAULT VALUES",
            f"DELETE FROM {table}",  # noqa: S608
            f"TRUNCATE {table}",
            f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
            f"CREATE TRIGGER t BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            f"DROP TABLE {table}",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                as_role(database_url, role, statement)
    for statement in (
        "UPDATE users SET name = 'x'",
        "SELECT setval('users_id_seq', 1)",
        "SELECT triage.save_state('j', 'a', NULL, 1, '{}', '{}')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            as_role(database_url, role, statement)


def test_the_bots_own_tables_stay_writable(empty_database_url: str, role: str) -> None:
    """With the sequences that number their rows; a table made later can be read."""
    url = empty_database_url
    build(url, "LEGACY")
    migrate(url)
    lockdown(url, role)
    as_role(url, role, "INSERT INTO cron_trigger_audits (result) VALUES ('pending')")
    as_role(
        url,
        role,
        "INSERT INTO notification_snapshots (discipline_assignments, hash, delivery_status) VALUES ('{}', 'h', 'x')",
    )
    as_role(url, role, "DELETE FROM discipline")
    execute(url, "CREATE TABLE later (id int)")
    assert as_role(url, role, "SELECT * FROM later") == []


def test_with_a_right_to_the_outbox_it_enqueues_in_its_own_transaction(database_url: str, role: str) -> None:
    """The one grant that docs/rollout.md names is enough; the next lockdown takes it away."""
    lockdown(database_url, role)
    execute(database_url, f"GRANT INSERT ON onelane.outbox TO {role}")
    with psycopg.connect(make_conninfo(database_url, user=role)) as connection:
        put(connection, Heartbeat(), actor="bot", reason=None, job_id="j1")
    assert as_role(database_url, role, "SELECT key FROM onelane.outbox") == [("j1",)]
    lockdown(database_url, role)
    with pytest.raises(errors.InsufficientPrivilege):
        as_role(database_url, role, "INSERT INTO onelane.outbox DEFAULT VALUES")


def test_again_brings_its_rights_up_to_date(database_url: str, role: str) -> None:
    """Somebody granted too much meanwhile: a table, a column, a sequence."""
    lockdown(database_url, role)
    execute(
        database_url,
        f"GRANT ALL ON users TO {role}",
        f"GRANT UPDATE (sprint_name) ON sprints TO {role}",
        f"GRANT ALL ON SEQUENCE users_id_seq TO {role}",
    )
    as_role(database_url, role, "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', 'Ann', 'po')")
    lockdown(database_url, role)
    for statement in (
        "UPDATE users SET name = 'x'",
        "UPDATE sprints SET sprint_name = 'x'",
        "SELECT nextval('users_id_seq')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            as_role(database_url, role, statement)


@pytest.mark.parametrize("way", ["public", "group"])
def test_a_right_that_it_has_by_another_way_is_told_and_no_role_is_made(
    way: str, database_url: str, role: str, request: pytest.FixtureRequest
) -> None:
    """What PUBLIC or a group may do is not ours to take away."""
    if way == "public":
        execute(database_url, "GRANT INSERT ON overrides TO PUBLIC")
    else:
        lockdown(database_url, role)
        group = f"{role}_group"
        execute(
            database_url, f"CREATE ROLE {group}", f"GRANT INSERT ON overrides TO {group}", f"GRANT {group} TO {role}"
        )
        request.addfinalizer(lambda: execute(database_url, f"DROP OWNED BY {group}", f"DROP ROLE {group}"))
    with pytest.raises(
        ConfigurationError, match=f"{role} could still write overrides, by a right of PUBLIC or of a group"
    ):
        lockdown(database_url, role)
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    assert (found is None) == (way == "public")


def test_undo_takes_the_role_away_and_only_such_a_role(database_url: str, role: str) -> None:
    """A role that somebody else made is never changed or dropped, and what it owns stays."""
    lockdown(database_url, role)
    unlock(database_url, role)
    with pytest.raises(ConfigurationError, match=f"There is no role {role}"):
        unlock(database_url, role)
    execute(
        database_url, f"CREATE ROLE {role}", "CREATE TABLE precious (id int)", f"ALTER TABLE precious OWNER TO {role}"
    )
    for command in (lockdown, unlock):
        with pytest.raises(ConfigurationError, match="was not made by `onelane migrate lockdown`: choose another name"):
            command(database_url, role)
    execute(database_url, "SELECT * FROM precious")


def test_undo_stops_at_something_that_the_role_owns(database_url: str, role: str) -> None:
    """It would go with the role."""
    lockdown(database_url, role)
    execute(database_url, "CREATE TABLE precious (id int)", f"ALTER TABLE precious OWNER TO {role}")
    with pytest.raises(ConfigurationError, match=f"The role {role} owns something: REASSIGN OWNED BY it first"):
        unlock(database_url, role)
    execute(database_url, "SELECT * FROM precious", "DROP TABLE precious")


def test_the_server_never_sees_the_password(database_url: str, role: str) -> None:
    """It gets the hash; the role can log in with what it was made of."""
    lockdown(database_url, role, password="hunter2")  # noqa: S106 - no secret
    with psycopg.connect(database_url) as connection:
        [(secret,)] = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (role,)).fetchall()
    assert secret.startswith("SCRAM-SHA-256$4096:")


def test_a_name_that_is_none_is_refused(database_url: str) -> None:
    """Before PostgreSQL cuts it short or stumbles over it."""
    for name in ("", "pg_bot", "x" * 64, "bot\0"):
        with pytest.raises(ConfigurationError, match="A role's name has 1 to 63 characters"):
            lockdown(database_url, name)


def test_a_database_that_is_not_migrated_is_refused(empty_database_url: str) -> None:
    """There is nothing to lock yet."""
    with pytest.raises(ConfigurationError, match="run `onelane migrate up`"):
        lockdown(empty_database_url, "onelane_bot")


def test_one_who_may_not_make_roles_is_told(database_url: str, role: str) -> None:
    """One sentence."""
    execute(database_url, f"CREATE ROLE {role} LOGIN", f"GRANT USAGE ON SCHEMA onelane TO {role}")
    execute(database_url, f"GRANT SELECT ON ALL TABLES IN SCHEMA onelane TO {role}")
    with pytest.raises(ConfigurationError, match="lacks a right: permission denied to create role"):
        lockdown(make_conninfo(database_url, user=role), "onelane_bot_other")

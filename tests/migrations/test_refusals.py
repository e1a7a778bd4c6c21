"""What can't be migrated is refused in one sentence, before anything is changed."""

# ruff: noqa: ISC004 - pairs of a statement and a sentence

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.migrations.shapes import build
from tests.migrations.snapshot import catalog_of
from worker.embedded.postgres import RunningPostgres
from worker.errors import ConfigurationError
from worker.migrate import check, down, migrate, pending, rehearse


def test_no_database_there(tmp_path: Path) -> None:
    """Nobody listens: the sentence names the place, never the password."""
    with pytest.raises(ConfigurationError, match="PostgreSQL can't be used: connection") as refused:
        migrate(f"postgresql://bot:hunter2@/bot?host={tmp_path}")
    assert "hunter2" not in str(refused.value)


def test_a_database_that_does_not_exist(postgres_server: str) -> None:
    """The server is there, the database is not."""
    with pytest.raises(ConfigurationError, match='database "nowhere" does not exist'):
        migrate(make_conninfo(postgres_server, dbname="nowhere"))


@pytest.mark.parametrize("url", ["that is no url", "postgres//bot:hunter2@host/bot"])
def test_a_url_that_is_none(url: str) -> None:
    """Neither a URL nor connection parameters: the sentence says what was expected and repeats nothing."""
    with pytest.raises(ConfigurationError, match="The database URL can't be read; expected postgresql") as refused:
        migrate(url)
    assert "hun" not in str(refused.value)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("CREATE TABLE users (id serial, email text)", "public.users has no column slack_id"),
        ("CREATE VIEW sprints AS SELECT 1 AS id", "public.sprints is no plain table"),
        ("DROP SCHEMA public", "There is no schema public"),
        (
            "CREATE TABLE admin_channel_membership (slack_id varchar(50), is_member boolean, checked_at timestamp,"
            " updated_at timestamp)",
            r"public.admin_channel_membership has no primary key \(slack_id\)",
        ),
        (
            "CREATE TABLE admin_channel_membership (slack_id varchar(50) PRIMARY KEY, is_member boolean,"
            " checked_at timestamp, updated_at timestamp, team text NOT NULL)",
            "public.admin_channel_membership.team must have a value, and we know none for it",
        ),
        (
            "CREATE TABLE admin_channel_membership (slack_id bigint, is_member boolean, checked_at timestamp)",
            "public.admin_channel_membership.slack_id is bigint, expected character varying",
        ),
    ],
)
def test_a_database_that_is_not_the_bots(empty_database_url: str, statement: str, sentence: str) -> None:
    """Tables of the same name with other columns: refused, nothing is made."""
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(statement)
    for command in (migrate, check):
        with pytest.raises(ConfigurationError, match=sentence):
            command(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'onelane'").fetchone() == (0,)


def test_a_user_without_the_rights(empty_database_url: str) -> None:
    """Each right that lacks is named before anything is changed; with them all, an owner who is no superuser can."""
    build(empty_database_url, "LEGACY")
    before = catalog_of(empty_database_url)
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"CREATE ROLE {name} LOGIN")
        try:
            with pytest.raises(ConfigurationError, match="may not create a schema here: use the owner"):
                migrate(make_conninfo(empty_database_url, user=name))
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO {name}")
            with pytest.raises(ConfigurationError, match=r"public.sprints belongs to \w+: run this as"):
                migrate(make_conninfo(empty_database_url, user=name))
            for table in ("users", "sprints", "current_state", "overrides", "audit_logs", "admin_channel_membership"):
                connection.execute(f"ALTER TABLE {table} OWNER TO {name}")
            connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            with pytest.raises(ConfigurationError, match="may not create indexes in the schema public"):
                migrate(make_conninfo(empty_database_url, user=name))
            connection.execute(f"GRANT CREATE ON SCHEMA public TO {name}")
            connection.execute(
                "CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql"
                " AS 'BEGIN RETURN NEW; END'"
            )
            with pytest.raises(ConfigurationError, match=r"update_updated_at_column\(\) belongs to \w+: run this as"):
                migrate(make_conninfo(empty_database_url, user=name))
            connection.execute(f"ALTER FUNCTION update_updated_at_column() OWNER TO {name}")
            changed = catalog_of(empty_database_url)
            assert {**changed, "functions": None} == {**before, "functions": None}
            applied = migrate(make_conninfo(empty_database_url, user=name))
            down(make_conninfo(empty_database_url, user=name), to=applied[0])
            assert catalog_of(empty_database_url) == changed
        finally:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_read_replica(tmp_path: Path) -> None:
    """A server in recovery can't be migrated, and says where to go instead."""
    server = RunningPostgres(tmp_path, durable=False)
    try:
        server.start()
        server.stop()
        (tmp_path / "cluster" / "standby.signal").touch()
        server.start()
        for command in (migrate, check, pending, rehearse, down):
            with pytest.raises(ConfigurationError, match="read replica: use the primary's URL"):
                command(server.url)
    finally:
        server.stop()

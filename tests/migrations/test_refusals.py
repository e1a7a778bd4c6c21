"""What can't be migrated is refused in one sentence, before anything is changed."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.migrations.shapes import build
from tests.migrations.snapshot import catalog_of
from worker.embedded.postgres import RunningPostgres
from worker.errors import ConfigurationError
from worker.migrate import back_up, check, migrate


def test_no_database_there(tmp_path: Path) -> None:
    """Nobody listens: the sentence names the place, never the password."""
    with pytest.raises(ConfigurationError, match="PostgreSQL can't be used: connection") as refused:
        migrate(f"postgresql://bot:hunter2@/bot?host={tmp_path}")
    assert "hunter2" not in str(refused.value)


def test_a_database_that_does_not_exist(postgres_server: str) -> None:
    """The server is there, the database is not."""
    with pytest.raises(ConfigurationError, match='database "nowhere" does not exist'):
        migrate(make_conninfo(postgres_server, dbname="nowhere"))


def test_a_url_that_is_none() -> None:
    """Neither a URL nor connection parameters."""
    with pytest.raises(ConfigurationError, match="The database URL can't be read"):
        migrate("that is no url")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("CREATE TABLE users (id serial, email text)", "public.users has no column slack_id"),
        ("CREATE VIEW sprints AS SELECT 1 AS id", "public.sprints is no plain table"),
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
    """One who owns nothing is told whose it is; the catalog stays."""
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
        finally:
            connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    assert catalog_of(empty_database_url) == before


def test_a_read_replica(tmp_path: Path) -> None:
    """A server in recovery can't be migrated, and says where to go instead."""
    server = RunningPostgres(tmp_path, durable=False)
    try:
        server.start()
        server.stop()
        (tmp_path / "cluster" / "standby.signal").touch()
        server.start()
        with pytest.raises(ConfigurationError, match="read replica: use the primary's URL"):
            migrate(server.url)
    finally:
        server.stop()


def test_too_little_disk_for_the_backup(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says how much is needed and how to choose another place."""
    build(empty_database_url, "LEGACY")
    monkeypatch.setattr("worker.migrate.backup.HEADROOM", 1e15)  # no disk is as large as that
    with pytest.raises(ConfigurationError, match="name another directory with --backup"):
        back_up(empty_database_url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_directory_that_is_a_file(empty_database_url: str, tmp_path: Path) -> None:
    """It can't be written to."""
    build(empty_database_url, "LEGACY")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="can't be written to"):
        back_up(empty_database_url, tmp_path / "file" / "sub")

"""The way back: refused while it would lose data, possible when the conflicts are archived."""

import psycopg
import pytest

from tests.migrations.shapes import build
from tests.migrations.snapshot import archive_of, catalog_of, execute, rows_of
from worker.errors import ConfigurationError
from worker.migrate import down, migrate, status


def test_a_second_discipline_stops_the_way_back(empty_database_url: str) -> None:
    """The old key has no room for it: refused with the reason, and nothing is undone."""
    url = empty_database_url
    build(url, "LEGACY")
    before = catalog_of(url)
    applied = migrate(url)
    execute(url, "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', 'Ann', 'uiEng'), ('U1', 'Ann', 'beEng')")
    final = catalog_of(url)
    with pytest.raises(
        ConfigurationError,
        match=r"lose data: 0002d_users: 1 row\(s\) of users: a second row of the same slack_id\. Use",
    ):
        down(url, to=applied[0])
    assert catalog_of(url) == final
    assert [entry.step for entry in status(url) if entry.applied_at] == applied
    assert {row["discipline"] for row in rows_of(url)["users"].values()} == {"uiEng", "beEng"}
    down(url, to="0002a_missing_tables", archive_conflicts=True)
    assert catalog_of(url) == before
    assert [row["discipline"] for row in rows_of(url)["users"].values()] == ["uiEng"]
    [(table, action, reason, record, _)] = archive_of(url)
    assert (table, action, reason) == ("users", "conflict", "a second row of the same slack_id")
    assert (record["slack_id"], record["discipline"]) == ("U1", "beEng")


def test_archived_conflicts_outlive_the_engine(empty_database_url: str) -> None:
    """All the way down, the schema with what was archived is renamed, not dropped."""
    url = empty_database_url
    build(url, "LEGACY")
    applied = migrate(url)
    execute(url, "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', 'Ann', 'uiEng'), ('U1', 'Ann', 'beEng')")
    down(url, to=applied[0], archive_conflicts=True)
    with psycopg.connect(url) as connection:
        [(schema,)] = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'onelane%'").fetchall()
        kept = connection.execute(f"SELECT record ->> 'discipline' FROM \"{schema}\".archive").fetchall()  # noqa: S608
    assert schema.startswith("onelane_kept_")
    assert kept == [("beEng",)]
    assert migrate(url) == applied


def test_audit_rows_that_the_old_check_refuses_stop_the_way_back(empty_database_url: str) -> None:
    """`UPSERT` rows, written since, are no longer lost in silence: neither going up nor coming down."""
    url = empty_database_url
    build(url, "S1")
    applied = migrate(url)
    execute(url, "INSERT INTO audit_logs (table_name, operation) VALUES ('users', 'UPSERT')")
    with pytest.raises(ConfigurationError, match=r"1 row\(s\) of audit_logs: audit_logs_operation_check refuses them"):
        down(url, to=applied[0])


def test_inactive_people_stop_the_way_back_to_a_shape_without_them(empty_database_url: str) -> None:
    """The column `active` goes: who is inactive would be back on the list."""
    url = empty_database_url
    build(url, "PSQL")
    before = catalog_of(url)
    applied = migrate(url)
    execute(url, "INSERT INTO users (slack_id, name, discipline, active) VALUES ('U1', 'Ann', 'po', false)")
    with pytest.raises(ConfigurationError, match=r"1 row\(s\) of users: inactive people"):
        down(url, to=applied[0])
    down(url, to="0002a_missing_tables", archive_conflicts=True)
    assert catalog_of(url) == before
    assert [row["name"] for row in rows_of(url)["users"].values()] == ["Ann"]


def test_tables_that_were_made_here_go_only_when_they_are_empty(empty_database_url: str) -> None:
    """On a database that had none of the tables, the way back would take the data with them."""
    url = empty_database_url
    applied = migrate(url)
    execute(url, "INSERT INTO admin_channel_membership VALUES ('U1', true, '2030-01-01')")
    with pytest.raises(ConfigurationError, match=r"admin_channel_membership: the whole table goes"):
        down(url, to=applied[0])


def test_a_job_in_the_ledger_is_never_lost(empty_database_url: str) -> None:
    """The engine's tables are kept under another name while they hold a job."""
    url = empty_database_url
    build(url, "FRESH")
    applied = migrate(url)
    execute(
        url,
        "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
        " enqueued_at) VALUES ('j', 'k', 'l', 1, 'a', 'd', 'applied', 'c', 'm', 'w', 1, now())",
    )
    down(url, to=applied[0], archive_conflicts=True)
    with psycopg.connect(url) as connection:
        [(schema,)] = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'onelane%'").fetchall()
        assert connection.execute(f'SELECT job_id FROM "{schema}".ledger').fetchall() == [("j",)]  # noqa: S608


def test_a_row_that_was_written_since_is_not_overwritten(empty_database_url: str) -> None:
    """A name that was mended going up and renamed since stays; its old form stays in the archive."""
    url = empty_database_url
    build(url, "FRESH")
    execute(url, "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', ' ', 'po'), ('U2', '', 'po')")
    migrate(url)
    execute(url, "UPDATE users SET name = 'Ann' WHERE slack_id = 'U1'")
    down(url, to="0002a_missing_tables")
    assert {row["slack_id"]: row["name"] for row in rows_of(url)["users"].values()} == {"U1": "Ann", "U2": ""}
    assert [(action, record["slack_id"]) for _, action, _, record, _ in archive_of(url)] == [("changed", "U1")]


def test_an_unknown_step_is_named(empty_database_url: str) -> None:
    """`down` to a step that is not applied says which are."""
    with pytest.raises(ConfigurationError, match="0002d_users is not applied; applied are none"):
        down(empty_database_url, to="0002d_users")


def test_a_state_that_was_set_since_stays(empty_database_url: str) -> None:
    """`up` made the row; once it says who is on duty, the way back leaves it."""
    url = empty_database_url
    build(url, "FRESH")
    applied = migrate(url)
    down(url, to=applied[0])
    assert rows_of(url)["current_state"] == {}
    migrate(url)
    execute(url, "UPDATE current_state SET po_slack_id = 'U1'")
    down(url, to=applied[0])
    assert rows_of(url)["current_state"]["1"]["po_slack_id"] == "U1"


def test_a_way_back_that_an_old_constraint_stops_leaves_nothing_behind(empty_database_url: str) -> None:
    """An undo fails on something nobody foresaw: one sentence that names the step, and the catalog is as it was."""
    url = empty_database_url
    build(url, "S1")
    migrate(url)
    down(url, to="0010_rotation")
    execute(url, "CREATE FUNCTION idx_in_the_way() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    execute(url, "CREATE TABLE idx_users_slack_id (id int)")
    before = catalog_of(url)
    with pytest.raises(
        ConfigurationError, match=r"0002d_users failed and left nothing behind: relation .* already exists"
    ):
        down(url, to="0002d_users")
    assert [entry.step for entry in status(url) if entry.applied_at][-1] == "0002d_users"
    execute(url, "DROP TABLE idx_users_slack_id")
    assert catalog_of(url).keys() == before.keys()
    assert down(url, to="0002a_missing_tables")[-1] == "0002a_missing_tables"

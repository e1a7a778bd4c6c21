"""`check`: which shape it is, and how many rows of each kind stand in the way."""

import psycopg
import pytest

from tests.migrations.shapes import SHAPES, build
from tests.migrations.snapshot import catalog_of, execute, rows_of
from worker.errors import ConfigurationError
from worker.migrate import Finding, check, migrate


def findings(url: str) -> dict[str, Finding]:
    """What is found, by its name."""
    [outlook] = check(url)
    return {finding.what: finding for finding in outlook.findings}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_named(shape: str, empty_database_url: str) -> None:
    """Exactly, without a difference; and nothing stands in the way of a clean one."""
    build(empty_database_url, shape)
    before = catalog_of(empty_database_url)
    [outlook] = check(empty_database_url)
    assert (outlook.shape, outlook.differences, outlook.findings) == (shape, [], [])
    assert catalog_of(empty_database_url) == before


def test_an_empty_database_and_a_migrated_one_are_named(empty_database_url: str) -> None:
    """Before and after."""
    assert [(o.shape, o.differences) for o in check(empty_database_url)] == [("EMPTY", [])]
    migrate(empty_database_url)
    assert [(o.shape, o.differences) for o in check(empty_database_url)] == [("FINAL", [])]


def test_the_nearest_shape_and_each_difference_are_named(empty_database_url: str) -> None:
    """LEGACY, but somebody has dropped a trigger and made an index."""
    build(empty_database_url, "LEGACY")
    execute(
        empty_database_url,
        "DROP TRIGGER update_sprints_updated_at ON sprints",
        "CREATE INDEX by_name ON users (name)",
        "ALTER TABLE current_state DROP CONSTRAINT unique_current_state",
    )
    [outlook] = check(empty_database_url)
    assert outlook.shape == "LEGACY"
    assert outlook.differences == [
        "missing: check unique_current_state",
        "missing: trigger update_sprints_updated_at",
        "extra: index by_name",
    ]


def test_each_kind_of_dirt_is_counted(empty_database_url: str) -> None:
    """A database without a single constraint, each kind of dirt in a number of its own; nothing is changed."""
    url = empty_database_url
    build(url, "FRESH")
    execute(
        url,
        "ALTER TABLE overrides DROP CONSTRAINT overrides_sprint_index_fkey",
        "ALTER TABLE current_state DROP CONSTRAINT current_state_sprint_index_fkey",
        "DROP INDEX users_slack_id_key, users_slack_discipline_unique, sprints_sprint_index_key",
        "DROP INDEX overrides_unique_request",
        "ALTER TABLE users ALTER name TYPE text",
        "INSERT INTO users (slack_id, name, discipline, active) VALUES ('U1', 'Ann', 'po', true),"
        " ('U1', 'Ann', 'po', false), ('U2', 'Bo', 'po', true), ('U2', 'Bo', 'po', true),"
        " ('test_user_123', 'Test', 'po', true), ('U3', repeat('n', 101), 'po', true), (' ', 'Blank', 'po', true),"
        " ('U4', E'\\t\\n', 'po', true), ('U5', '', 'po', true), ('U6', 'Qa', 'qa', true)",
        "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index) VALUES"
        " ('A', '2030-01-02', '2030-01-01', 1), ('B', '2030-01-02', '2030-01-15', 1),"
        " ('C', '2030-01-02', '2030-02-01', -1)",
        "INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id, approved, created_at) VALUES"
        " (1, 'po', 'U1', 'U2', true, '2030-01-01'), (1, 'po', 'U1', 'U2', true, '2030-01-02'),"
        " (1, 'po', 'U1', 'U2', false, '2030-01-03'), (9, 'po', 'U1', 'U2', true, '2030-01-01'),"
        " (9, 'po', 'U1', 'U3', NULL, '2030-01-01'), (1, 'qa', 'U1', 'U2', false, '2030-01-01'),"
        " (1, 'po', '', 'U2', false, '2030-01-01')",
        "INSERT INTO current_state (id, sprint_index) VALUES (1, 9), (2, 1), (3, 1)",
        "INSERT INTO audit_logs (table_name, operation) VALUES ('a', 'UPSERT'), ('a', 'SELECT'), ('a', 'upsert')",
    )
    before = rows_of(url), catalog_of(url)
    found = findings(url)
    assert {what: (finding.count, list(finding.examples)) for what, finding in found.items()} == {
        "users: name longer than 100 characters": (1, ["id 6"]),
        "users: blank slack_id": (1, ["id 7"]),
        "users: blank name": (2, ["id 8", "id 9"]),
        "users: leftover test_user_123": (1, ["id 5"]),
        "users: discipline outside the five roles": (1, ["id 10"]),
        "users: the newest of duplicate pairs inactive, an older one active": (1, ["id 2"]),
        "users: duplicate pair of person and discipline": (2, ["id 1", "id 3"]),
        "sprints: duplicate sprint index": (1, ["id 1"]),
        "sprints: sprint that ends before it starts": (1, ["id 1"]),
        "sprints: negative sprint index": (1, ["id 3"]),
        "overrides: blank requested_by": (1, ["id 7"]),
        "overrides: role outside the five roles": (1, ["id 6"]),
        "overrides: override of a sprint that does not exist (1 of them approved)": (2, ["id 4 (approved)", "id 5"]),
        "overrides: duplicate override (1 of them approved)": (2, ["id 1 (approved)", "id 3"]),
        "current_state: more than one state row": (2, ["id 2", "id 3"]),
        "current_state: state of a sprint that does not exist": (1, ["id 1"]),
        "audit_logs: audit operation outside the four": (2, ["id 2", "id 3"]),
    }
    assert {what for what, finding in found.items() if not finding.blocks} == {
        "sprints: sprint that ends before it starts",
        "sprints: negative sprint index",
    }
    assert (rows_of(url), catalog_of(url)) == before


def test_a_database_that_up_would_refuse_is_refused(empty_database_url: str) -> None:
    """A table of the same name that is another's."""
    execute(empty_database_url, "CREATE TABLE users (id serial PRIMARY KEY, email text)")
    with pytest.raises(ConfigurationError, match=r"public\.users has no column slack_id"):
        check(empty_database_url)


def test_check_reads_and_waits_for_no_writer(empty_database_url: str) -> None:
    """A transaction that has written to every table does not hold it up."""
    build(empty_database_url, "LEGACY")
    with psycopg.connect(empty_database_url) as writer:
        writer.execute("LOCK TABLE users, sprints, overrides, current_state, audit_logs IN ROW EXCLUSIVE MODE")
        assert check(empty_database_url)

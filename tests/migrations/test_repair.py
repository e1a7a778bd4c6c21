"""Dedupe with judgement: which row survives, what the others become, and that each is archived and audited."""

# ruff: noqa: S608 - our own words and numbers

import psycopg

from tests.migrations.shapes import P3, S1, build, empty
from tests.migrations.snapshot import archive_of, execute, rows_of
from worker.migrate import archived, check, down, migrate

NO_KEYS = (
    "ALTER TABLE current_state DROP CONSTRAINT current_state_sprint_index_fkey",
    "ALTER TABLE users DROP CONSTRAINT users_slack_id_key",
    "ALTER TABLE sprints DROP CONSTRAINT sprints_sprint_index_key",
)
OVERRIDE = "overrides (id, sprint_index, role, requested_by, replacement_slack_id, approved, created_at)"


def ids(url: str, table: str) -> list[int]:
    """The ids of the rows that are left."""
    return sorted(map(int, rows_of(url)[table]))


def test_of_duplicate_overrides_the_approved_one_survives_else_the_newest(empty_database_url: str) -> None:
    """Approved before pending, whatever the order of time or id; then by creation; then by id; NULL is pending."""
    url = empty_database_url
    build(url, "S1")
    execute(
        url,
        "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
        " SELECT 'Sp' || n, '2030-01-01', '2030-01-14', n FROM generate_series(1, 6) n",
        f"INSERT INTO {OVERRIDE} VALUES"
        # an older approved one, and newer pending ones
        " (10, 1, 'po', 'U1', 'U2', true, '2030-01-01'), (11, 1, 'po', 'U1', 'U2', false, '2030-01-09'),"
        " (12, 1, 'po', 'U1', 'U2', NULL, '2030-01-10'),"
        # two approved: the newest created, though its id is lower
        " (20, 2, 'po', 'U1', 'U2', true, '2030-01-09'), (21, 2, 'po', 'U1', 'U2', true, '2030-01-01'),"
        # none approved: the newest created
        " (30, 3, 'po', 'U1', 'U2', NULL, '2030-01-09'), (31, 3, 'po', 'U1', 'U2', false, '2030-01-01'),"
        # created at the same moment: the highest id
        " (40, 4, 'po', 'U1', 'U2', false, '2030-01-01'), (41, 4, 'po', 'U1', 'U2', false, '2030-01-01'),"
        # a moment against none
        " (50, 5, 'po', 'U1', 'U2', false, '2030-01-01'), (51, 5, 'po', 'U1', 'U2', false, NULL),"
        # another request for the same seat is no duplicate
        " (60, 6, 'po', 'U1', 'U2', true, '2030-01-01'), (61, 6, 'po', 'U1', 'U3', true, '2030-01-01')",
    )
    before = rows_of(url)["overrides"]
    migrate(url)
    assert ids(url, "overrides") == [10, 20, 30, 41, 50, 60, 61]
    archive = archive_of(url)
    assert {(table, action, reason) for table, action, reason, _, _ in archive} == {
        ("overrides", "removed", "duplicate override")
    }
    assert {str(record["id"]): record for _, _, _, record, _ in archive} == {
        key: row for key, row in before.items() if int(key) in {11, 12, 21, 31, 40, 51}
    }


def test_of_duplicate_users_the_newest_survives_and_is_active_if_any_was(empty_database_url: str) -> None:
    """The merged row keeps the newest name; each change is archived as it was and audited with both values."""
    url = empty_database_url
    execute(
        url,
        S1 + P3,
        *NO_KEYS,
        "INSERT INTO users (id, slack_id, name, discipline, active) VALUES"
        " (1, 'U1', 'Ann old', 'po', true), (2, 'U1', 'Ann', 'po', false),"
        " (3, 'U2', 'Bo old', 'po', false), (4, 'U2', 'Bo', 'po', false),"
        " (5, 'U3', 'Cy old', 'po', false), (6, 'U3', 'Cy', 'po', true),"
        " (7, 'U4', 'Di', 'po', false), (8, 'U4', 'Di', 'beEng', true)",
    )
    applied = migrate(url)
    users = rows_of(url)["users"].values()
    assert sorted((row["id"], row["name"], row["active"]) for row in users) == [
        (2, "Ann", True),
        (4, "Bo", False),
        (6, "Cy", True),
        (7, "Di", False),
        (8, "Di", True),
    ]
    assert [(action, record["id"], (new or {}).get("active")) for _, action, _, record, new in archive_of(url)] == [
        ("changed", 2, True),
        ("removed", 1, None),
        ("removed", 3, None),
        ("removed", 5, None),
    ]
    with psycopg.connect(url) as connection:
        audit = connection.execute(
            "SELECT operation, record_id, old_values ->> 'active', new_values ->> 'active', reason FROM audit_logs"
            " WHERE changed_by = 'onelane' ORDER BY id"
        ).fetchall()
    again = "duplicate pair of person and discipline"
    assert audit == [
        ("UPDATE", 2, "false", "true", "the newest of duplicate pairs inactive, an older one active"),
        ("DELETE", 1, "true", None, again),
        ("DELETE", 3, "false", None, again),
        ("DELETE", 5, "false", None, again),
    ]
    down(url, to=applied[0])
    assert {row["id"]: row["active"] for row in rows_of(url)["users"].values()}[2] is False


def test_of_duplicate_sprints_the_newest_survives(empty_database_url: str) -> None:
    """What names the index goes on naming it."""
    url = empty_database_url
    execute(
        url,
        S1,
        *NO_KEYS,
        "INSERT INTO sprints (id, sprint_name, start_date, end_date, sprint_index) VALUES"
        " (1, 'old', '2030-01-01', '2030-01-14', 7), (2, 'new', '2030-01-02', '2030-01-15', 7)",
        f"INSERT INTO {OVERRIDE} VALUES (1, 7, 'po', 'U1', 'U2', true, '2030-01-01')",
        "UPDATE current_state SET sprint_index = 7",
    )
    migrate(url)
    assert [row["sprint_name"] for row in rows_of(url)["sprints"].values()] == ["new"]
    assert ids(url, "overrides") == [1]
    assert rows_of(url)["current_state"]["1"]["sprint_index"] == 7


def test_what_no_rule_can_repair_is_moved_to_the_archive_and_listed(empty_database_url: str) -> None:
    """An override whose sprint does not exist, approved or not."""
    url = empty_database_url
    build(url, "FIX")
    execute(
        url,
        f"INSERT INTO {OVERRIDE} VALUES (8, 99, 'po', 'U1', 'U2', true, '2030-01-01'),"
        " (9, 98, 'po', 'U1', 'U2', false, '2030-01-01')",
    )
    migrate(url)
    assert ids(url, "overrides") == []
    [listed] = archived(url)
    assert (listed.table, listed.action, listed.reason, listed.count, listed.ids) == (
        "overrides",
        "removed",
        "override of a sprint that does not exist",
        2,
        ["8", "9"],
    )


def test_the_state_becomes_one_row_under_id_1(empty_database_url: str) -> None:
    """Of several the one under 1 stays; else the newest moves there; if there is none at all, it is made."""
    url = empty_database_url
    for given, expected in (
        ({1: 3, 2: 4}, 3),
        ({2: 3, 7: 4}, 4),
        ({}, None),
        ({5: 99}, None),
    ):
        empty(url)
        build(url, "FRESH")
        execute(
            url,
            "ALTER TABLE current_state DROP CONSTRAINT current_state_sprint_index_fkey",
            "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
            " SELECT 'Sp' || n, '2030-01-01', '2030-01-14', n FROM generate_series(3, 4) n",
            *(
                f"INSERT INTO current_state (id, sprint_index) VALUES ({key}, {sprint})"
                for key, sprint in given.items()
            ),
        )
        before = rows_of(url)["current_state"]
        applied = migrate(url)
        assert [(row["id"], row["sprint_index"]) for row in rows_of(url)["current_state"].values()] == [(1, expected)]
        down(url, to=applied[0])
        assert rows_of(url)["current_state"] == before


def test_blank_and_over_long_values_are_mended_where_a_rule_can(empty_database_url: str) -> None:
    """A name is cut or replaced; an id that may be absent goes; a row that must have one goes."""
    url = empty_database_url
    build(url, "LEGACY")
    execute(
        url,
        "ALTER TABLE users ALTER name TYPE text",
        "ALTER TABLE overrides ALTER approved_by TYPE text, ALTER replacement_slack_id TYPE text",
        "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
        " VALUES (E'\\t', '2030-01-01', '2030-01-14', 4)",
        "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', ' ', 'po'), ('U2', repeat('n', 101), 'po')",
        f"INSERT INTO {OVERRIDE} VALUES (1, 4, 'po', 'U1', 'U2', true, '2030-01-01'),"
        " (2, 4, 'po', 'U1', repeat('U', 51), true, '2030-01-01')",
        "UPDATE overrides SET approved_by = repeat('U', 51), replacement_name = '' WHERE id = 1",
        "UPDATE current_state SET po_slack_id = '', be_eng_slack_id = 'U9'",
    )
    migrate(url)
    rows = rows_of(url)
    assert [row["sprint_name"] for row in rows["sprints"].values()] == ["Sprint 4"]
    assert sorted(row["name"] for row in rows["users"].values()) == ["U1", "n" * 100]
    assert [(row["id"], row["approved_by"], row["replacement_name"]) for row in rows["overrides"].values()] == [
        (1, None, None)
    ]
    assert (rows["current_state"]["1"]["po_slack_id"], rows["current_state"]["1"]["be_eng_slack_id"]) == (None, "U9")


def test_an_audit_operation_of_todays_bot_is_kept(empty_database_url: str) -> None:
    """`UPSERT`, which FRESH lets in, stays; any other goes to the archive."""
    url = empty_database_url
    build(url, "FRESH")
    execute(url, "INSERT INTO audit_logs (id, table_name, operation) VALUES (1, 'users', 'UPSERT'), (2, 'users', 'x')")
    migrate(url)
    kept = [key for key, row in rows_of(url)["audit_logs"].items() if row["changed_by"] != "onelane"]
    assert kept == ["1"]
    assert [record["id"] for _, _, _, record, _ in archive_of(url)] == [2]


def test_a_sequence_that_lags_behind_is_moved_on(empty_database_url: str) -> None:
    """Rows that were imported with their ids: the next insert without one succeeds; going back leaves it so."""
    url = empty_database_url
    build(url, "LEGACY")
    execute(url, "INSERT INTO users (id, slack_id, name, discipline) VALUES (7, 'U1', 'Ann', 'po')")
    [outlook] = check(url)
    assert [(finding.what, finding.count) for finding in outlook.findings] == [
        ("users: the sequence lags behind the ids", 7)
    ]
    applied = migrate(url)
    execute(url, "INSERT INTO users (slack_id, name, discipline) VALUES ('U2', 'Bo', 'po')")
    assert ids(url, "users") == [7, 8]
    down(url, to=applied[0])
    assert ids(url, "users") == [7, 8]

"""From every shape to one catalog, no row lost, and back to where it came from."""

from collections import Counter
from typing import Any

import psycopg
import pytest

from tests.databases import new_database
from tests.migrations.fill import BY_HAND, fill
from tests.migrations.shapes import SHAPES, build
from tests.migrations.snapshot import Rows, archive_of, catalog_of, rows_of
from worker.migrate import down, migrate

SEED = 20260301
STARTS = (*SHAPES, "BY_HAND")


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest, empty_database_url: str) -> str:
    """The URL of a filled and dirty database in each shape."""
    print(f"seed {SEED}")  # noqa: T201 - shown when a test fails
    prepare(empty_database_url, request.param)
    return empty_database_url


def prepare(url: str, shape: str) -> None:
    """Build and fill it."""
    build(url, "S1" if shape == "BY_HAND" else shape)
    fill(url, SEED)
    if shape == "BY_HAND":
        with psycopg.connect(url) as connection:
            connection.execute(BY_HAND)


def plain(rows: dict[str, Any], *hidden: str) -> dict[str, Any]:
    """A row without some of its columns."""
    return {name: value for name, value in rows.items() if name not in hidden}


def ours(rows: Rows) -> Rows:
    """The rows, without the audit that the migration itself added."""
    audit = {key: row for key, row in rows["audit_logs"].items() if row["changed_by"] != "onelane"}
    return {**rows, "audit_logs": audit}


def test_up_ends_in_one_catalog(start: str, postgres_server: str, migrated_template: str) -> None:
    """Whatever the start, the result is the catalog that an empty database gets."""
    with new_database(postgres_server, migrated_template) as fresh:
        migrate(start)
        assert catalog_of(start) == catalog_of(fresh)


def test_up_loses_no_row(start: str) -> None:
    """Kept + archived = before, row by row; every archived row has its audit row with the same old values."""
    before = rows_of(start)
    migrate(start)
    after, archive = ours(rows_of(start)), archive_of(start)
    for table, was in before.items():
        first: dict[str, dict[str, Any]] = {}
        for name, _, _, record, _ in archive:
            if name == table:
                first.setdefault(str(record["id"]), record)
        for key, row in was.items():
            kept = first.get(key) or after[table].get(key, {})
            assert plain(kept, "active") == plain(row, "active"), (table, key)
        assert set(after[table]) - set(was) <= {"1"}
    with psycopg.connect(start) as connection:
        audited = connection.execute(
            "SELECT table_name, old_values FROM audit_logs WHERE changed_by = 'onelane' ORDER BY id"
        ).fetchall()
    assert Counter(str(entry) for entry in audited) == Counter(str((table, old)) for table, _, _, old, _ in archive)


def test_down_leads_back_to_the_start(start: str) -> None:
    """The catalog and every row are as they were, only the audit has grown; nothing stays in the archive."""
    catalog, before = catalog_of(start), rows_of(start)
    applied = migrate(start)
    assert down(start, to=applied[0]) == applied[::-1]
    assert catalog_of(start) == catalog
    assert ours(rows_of(start)) == before
    with psycopg.connect(start) as connection:
        kept = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'onelane%'").fetchall()
    assert kept == []

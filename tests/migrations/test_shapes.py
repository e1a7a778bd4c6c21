"""From every shape and every mixture to one catalog, no row lost, and back to where it came from."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.databases import new_database
from tests.migrations.fill import BY_HAND, fill
from tests.migrations.mixture import mix
from tests.migrations.shapes import SHAPES, build
from tests.migrations.snapshot import (
    Catalog,
    archive_of,
    catalog_of,
    execute,
    rows_of,
    schemas_of,
    without_our_audit,
)
from worker.migrate import check, down, migrate, verify

SEED = 20260301
STARTS = (*SHAPES, "FRESH by hand", *(f"mixture {number}" for number in range(8)))


@pytest.fixture(scope="module")
def final(postgres_server: str, migrated_template: str) -> Iterator[Catalog]:
    """The catalog that an empty database gets."""
    with new_database(postgres_server, migrated_template) as url:
        yield catalog_of(url)


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest, empty_database_url: str) -> str:
    """The URL of a filled and dirty database in each shape."""
    print(f"seed {SEED}, start {request.param}")  # noqa: T201 - shown when a test fails
    prepare(empty_database_url, request.param)
    return empty_database_url


def prepare(url: str, shape: str) -> None:
    """Build and fill it."""
    if shape.startswith("mixture"):
        mix(url, random.Random(f"{SEED} {shape}"))
    else:
        build(url, shape.removesuffix(" by hand"))
    fill(url, SEED)
    if shape.endswith("by hand"):
        execute(url, BY_HAND)


def plain(rows: dict[str, Any], *hidden: str) -> dict[str, Any]:
    """A row without some of its columns."""
    return {name: value for name, value in rows.items() if name not in hidden}


def test_up_ends_in_one_catalog_loses_no_row_and_goes_back_to_the_start(start: str, final: Catalog) -> None:
    """One catalog whatever the start; kept + archived = before, row by row, each with its audit; down leads back."""
    catalog, before = catalog_of(start), rows_of(start)
    applied = migrate(start)
    assert catalog_of(start) == final
    assert verify(start) == []
    assert [finding.what for outlook in check(start) for finding in outlook.findings if finding.blocks] == []

    after, archive = without_our_audit(rows_of(start)), archive_of(start)
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

    assert down(start, to=applied[0]) == applied[::-1]
    assert catalog_of(start) == catalog
    assert without_our_audit(rows_of(start)) == before
    assert schemas_of(start) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_meets_dirt(shape: str, empty_database_url: str) -> None:
    """What the tests above migrate is dirty: each shape lets in the kinds that the domain sheet says it does."""
    prepare(empty_database_url, shape)
    [outlook] = check(empty_database_url)
    found = {finding.what.partition(" (")[0] for finding in outlook.findings}
    assert {"users: leftover test_user_123", "users: blank name", "sprints: blank sprint_name"} <= found
    assert ("overrides: duplicate override" in found) == (shape == "S1")
    assert ("users: discipline outside the five roles" in found) == (shape == "FRESH")
    assert ("audit_logs: audit operation outside the four" in found) == (shape == "FRESH")
    assert ("current_state: state of a sprint that does not exist" in found) == (shape == "SEED")


def test_a_large_table_ends_in_the_same_catalog(
    empty_database_url: str, final: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Indexes that are built ahead leave no trace: neither going up nor coming down."""
    monkeypatch.setattr("tasks.adopt.table_step.LARGE_BYTES", 0)
    prepare(empty_database_url, "S1")
    before = catalog_of(empty_database_url)
    applied = migrate(empty_database_url)
    assert catalog_of(empty_database_url) == final
    down(empty_database_url, to=applied[0])
    assert catalog_of(empty_database_url) == before


def test_a_final_catalog_whose_marks_are_lost_is_adopted_as_it_is(database_url: str, final: Catalog) -> None:
    """As after restoring the bot's schema alone: nothing is changed, so there is nothing to undo."""
    execute(database_url, "DROP SCHEMA onelane CASCADE", "DROP SCHEMA triage CASCADE")
    [outlook] = check(database_url)
    assert (outlook.shape, outlook.differences, outlook.findings) == ("FINAL", [], [])
    applied = migrate(database_url)
    assert catalog_of(database_url) == final
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT statement FROM onelane.undo").fetchall() == []
    down(database_url, to=applied[0])
    assert catalog_of(database_url) == final

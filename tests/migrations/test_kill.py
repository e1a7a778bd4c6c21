"""A kill at any point of any step leaves the old step or the new one; the next `up` ends where it would have."""

import signal

import psycopg
import pytest

from tests.migrations.dying import die
from tests.migrations.fill import fill
from tests.migrations.shapes import build, empty
from tests.migrations.snapshot import catalog_of, rows_of, timeless
from worker.migrate import down, migrate, status, verify
from worker.migrate.plan import Plan

KILLED = (-signal.SIGKILL, "")
STEPS = [step.name for step in Plan(["tasks"]).steps]


def applied(url: str) -> list[str]:
    """The steps that are marked."""
    return [entry.step for entry in status(url) if entry.applied_at is not None]


def test_sigkill_in_and_after_each_step(empty_database_url: str) -> None:
    """Inside the transaction: the step is absent. After its commit: it is whole. In the end: as without a kill."""
    url = empty_database_url
    build(url, "S1")
    fill(url, seed=7, size=100)
    for number, step in enumerate(STEPS):
        assert die(url, step, "inside") == KILLED
        assert applied(url) == STEPS[:number]
        assert die(url, step, "after") == KILLED
        assert applied(url) == STEPS[: number + 1]
    assert migrate(url) == []
    killed = catalog_of(url), timeless(rows_of(url))
    empty(url)
    build(url, "S1")
    fill(url, seed=7, size=100)
    migrate(url)
    assert (catalog_of(url), timeless(rows_of(url))) == killed


def test_a_terminated_backend_at_each_step(empty_database_url: str) -> None:
    """The database drops the migrator's connection inside each step: one sentence, nothing half done, then on."""
    url = empty_database_url
    build(url, "SEED")
    fill(url, seed=8, size=100)
    for number, step in enumerate(STEPS):
        assert die(url, step, "terminated")[1].startswith("PostgreSQL can't be used: ")
        assert applied(url) == STEPS[:number]
    assert migrate(url) == STEPS[-1:]
    assert verify(url) == []


def test_a_kill_between_building_ahead_and_the_step_leaves_a_way_on_and_a_way_back(empty_database_url: str) -> None:
    """The index that was built ahead is used by the next `up`, or taken away by `down`."""
    url = empty_database_url
    build(url, "S1")
    fill(url, seed=9, size=100)
    before = catalog_of(url)
    assert die(url, "0002f_overrides", "prepared") == KILLED
    assert built_ahead(url) == ["onelane_new_overrides_unique_request"]
    down(url, to=STEPS[0])
    assert catalog_of(url) == before
    assert die(url, "0002f_overrides", "prepared") == KILLED
    migrate(url)
    assert built_ahead(url) == []
    assert verify(url) == []


def built_ahead(url: str) -> list[str]:
    """The indexes under a name of ours."""
    with psycopg.connect(url) as connection:
        return [
            name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'onelane_new_%'")
        ]


@pytest.mark.parametrize("large", [0, 2**40], ids=["still large", "no longer large"])
def test_an_index_that_a_kill_left_half_built_is_built_anew(
    large: int, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A concurrent build that was killed leaves an invalid index; `up` replaces it, `down` leaves nothing of it."""
    url = empty_database_url
    build(url, "S1")
    before = catalog_of(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO overrides (sprint_index, role, replacement_slack_id, requested_by) "
            "SELECT 1, 'po', 'U1', 'U2' FROM generate_series(1, 2)"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY onelane_new_overrides_unique_request"
                " ON overrides (sprint_index, role, requested_by, replacement_slack_id)"
            )
        connection.execute("DELETE FROM overrides")
    monkeypatch.setattr("tasks.adopt.table_step.LARGE_BYTES", large)
    names = migrate(url)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").fetchall()
        assert found == []
    assert built_ahead(url) == []
    down(url, to=names[0])
    assert catalog_of(url) == before

"""A kill at any point of any step leaves the old step or the new one; the next `up` ends where it would have."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from tests.databases import new_database
from tests.migrations.fill import fill
from tests.migrations.shapes import build
from tests.migrations.snapshot import Rows, catalog_of, rows_of
from worker.migrate import down, migrate, status
from worker.migrate.runner import _Plan

ROOT = Path(__file__).parents[2]
STEPS = [step.name for step in _Plan(["tasks"]).steps]

DYING = """
import os, signal, sys
import psycopg
from worker.migrate import migrate, runner
url, step, when = sys.argv[1:]
apply = runner._apply
def dying(connection, running):
    done = apply(connection, running)
    if (running.name, when) == (step, "inside"):
        os.kill(os.getpid(), signal.SIGKILL)
    if (running.name, when) == (step, "terminated"):
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
    return done
runner._apply = dying
migrate(url, lambda done: os.kill(os.getpid(), signal.SIGKILL) if (done.step, when) == (step, "after") else None)
"""
"""Runs the real migration, and dies in or after the transaction of one step."""


def die(url: str, step: str, when: str) -> subprocess.CompletedProcess[str]:
    """Migrate in a process of its own, which dies at this step."""
    return subprocess.run(
        [sys.executable, "-c", DYING, url, step, when], cwd=ROOT, capture_output=True, text=True, check=False
    )


def applied(url: str) -> list[str]:
    """The steps that are marked."""
    return [entry.step for entry in status(url) if entry.applied_at is not None]


def timeless(rows: Rows) -> dict[str, Counter[str]]:
    """The rows without what differs from run to run: times, and audit ids (a rolled back step leaves a gap)."""
    moving = {"created_at", "updated_at", "changed_at", "old_values", "new_values"}
    hidden = {table: moving | ({"id"} if table == "audit_logs" else set()) for table in rows}
    return {
        table: Counter(str({c: v for c, v in row.items() if c not in hidden[table]}) for row in found.values())
        for table, found in rows.items()
    }


@pytest.mark.parametrize("shape", ["S1", "LEGACY"])
def test_sigkill_in_and_after_each_step(shape: str, empty_database_url: str, postgres_server: str) -> None:
    """Inside the transaction: the step is absent. After its commit: it is whole. In the end: as without a kill."""
    url = empty_database_url
    build(url, shape)
    fill(url, seed=7, size=100)
    for number, step in enumerate(STEPS):
        assert die(url, step, "inside").returncode == -signal.SIGKILL
        assert applied(url) == STEPS[:number]
        assert die(url, step, "after").returncode == -signal.SIGKILL
        assert applied(url) == STEPS[: number + 1]
    assert migrate(url) == []
    with new_database(postgres_server) as calm:
        build(calm, shape)
        fill(calm, seed=7, size=100)
        migrate(calm)
        assert catalog_of(url) == catalog_of(calm)
        assert timeless(rows_of(url)) == timeless(rows_of(calm))


def test_a_terminated_backend_at_each_step(empty_database_url: str) -> None:
    """The database drops the migrator's connection inside each step: one sentence, nothing half done, then on."""
    url = empty_database_url
    build(url, "SEED")
    fill(url, seed=8, size=100)
    for number, step in enumerate(STEPS):
        died = die(url, step, "terminated")
        assert "ConfigurationError: PostgreSQL can't be used" in died.stderr
        assert applied(url) == STEPS[:number]
        assert die(url, step, "after").returncode == -signal.SIGKILL
    assert migrate(url) == []


def test_an_index_that_a_kill_left_half_built_is_built_anew(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr("tasks.adopt.table_step.LARGE_BYTES", 0)
    names = migrate(url)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").fetchall()
        assert found == []
        left = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'onelane_new_%'").fetchall()
        assert left == []
    down(url, to=names[0])
    assert catalog_of(url) == before

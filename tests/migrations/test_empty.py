"""Up, down and status on an empty database."""

import time

import psycopg
import pytest

from worker.database import require_usable
from worker.errors import ConfigurationError
from worker.migrate import Done, check, down, migrate, status, verify
from worker.settings import Settings


def test_up_applies_every_step_once_and_marks_it(empty_database_url: str) -> None:
    """A second `up` finds nothing to do; status says all is applied."""
    seen: list[Done] = []
    applied = migrate(empty_database_url, seen.append)
    assert applied == [done.step for done in seen] == [entry.step for entry in status(empty_database_url)]
    assert applied[0] == "0001_engine"
    assert all(entry.applied_at is not None for entry in status(empty_database_url))
    assert migrate(empty_database_url) == []


def test_a_worker_refuses_a_database_that_lacks_a_step(empty_database_url: str) -> None:
    """One sentence with the command that helps: with no step there, and with one missing; fast enough for any start."""
    settings = Settings.load(database_url=empty_database_url)
    with pytest.raises(
        ConfigurationError, match=r"lacks the migration 0001_engine and .* more: run `onelane migrate up`"
    ):
        require_usable(settings)
    newest = migrate(empty_database_url)[-1]
    began = time.monotonic()
    require_usable(settings)
    assert time.monotonic() - began < 1
    down(empty_database_url)
    with pytest.raises(ConfigurationError, match=f"lacks the migration {newest}: run `onelane migrate up`"):
        require_usable(settings)


def test_down_undoes_the_newest_step_alone_and_all_the_rest_by_name(empty_database_url: str) -> None:
    """`down` takes one step back, `down` to the first step takes all back: nothing of ours is left."""
    applied = migrate(empty_database_url)
    assert down(empty_database_url) == applied[-1:]
    assert down(empty_database_url, to=applied[0]) == applied[-2::-1]
    with psycopg.connect(empty_database_url) as connection:
        left = connection.execute(
            "SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        ).fetchall()
    assert left == []


def test_a_step_this_release_does_not_know_is_refused(empty_database_url: str) -> None:
    """A newer schema: nothing is changed; but a worker that restarts while the new release comes in may go on."""
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO onelane.migrations (name, checksum) VALUES ('9999_future', 'x')")
    for command in (migrate, down, check, verify):
        with pytest.raises(ConfigurationError, match="9999_future, newer than this release"):
            command(empty_database_url)
    require_usable(Settings.load(database_url=empty_database_url))


def test_a_step_that_was_changed_after_it_was_applied_is_refused(empty_database_url: str) -> None:
    """An applied step's file must stay as it was."""
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("UPDATE onelane.migrations SET checksum = 'x' WHERE name = '0001_engine'")
    with pytest.raises(ConfigurationError, match="0001_engine is not the one that was applied"):
        migrate(empty_database_url)

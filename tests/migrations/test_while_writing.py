"""`up` on a database that the bot goes on writing to; and two migrators at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.migrations.bot import TodaysBot
from tests.migrations.fill import fill
from tests.migrations.shapes import SHAPES, build, empty
from tests.migrations.snapshot import catalog_of, execute, rows_of, without_our_audit
from worker.migrate import Done, down, migrate, rehearse, status, verify
from worker.migrate.plan import Plan

BOTS = 3
STEPS = [step.name for step in Plan(["tasks"]).steps]
RACES = {"PSQL": {("_sprint", "23505", "idx_sprints_active_unique")}}
"""What bots do to each other now and then, where a second unique index stands beside the one that they name."""
CLEANED_LAST = "0002z_validate"
"""After this step nobody cleans; what comes in then breaks no constraint, and `verify` names it."""


@pytest.mark.parametrize("ahead", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_bot_meets_no_new_error(
    shape: str, empty_database_url: str, *, ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it meets while `up` runs is what it met before on this shape; afterwards it meets none, and all holds."""
    if ahead:
        monkeypatch.setattr("tasks.adopt.table_step.LARGE_BYTES", 0)
    url, knows_active = empty_database_url, shape in {"LEGACY", "FRESH"}
    build(url, shape)
    fill(url, seed=11, size=200)
    before = TodaysBot(url, seed=1, knows_active=knows_active)
    before.write(60)
    empty(url)
    build(url, shape)
    fill(url, seed=11, size=200)
    bots = [TodaysBot(url, seed=seed, knows_active=knows_active) for seed in range(BOTS)]
    with ThreadPoolExecutor(BOTS) as pool:
        running = [pool.submit(bot.run) for bot in bots]
        try:
            applied = migrate(url)
        finally:
            for bot in bots:
                bot.stop()
        for done in running:
            done.result()
    met = set().union(*(bot.errors for bot in bots)) - RACES.get(shape, set())
    # By operation: one that fails on this shape for want of an arbiter (42P10) may, between the new key and the end of
    # the old one, fail by the old key (23505) instead. One that went well before must never fail.
    assert {operation for operation, _, _ in met} <= {operation for operation, _, _ in before.errors}
    assert {state for _, state, _ in met} <= {"42P10", "23505", "23503", "23514"}
    assert all(bot.writes for bot in bots)
    assert applied == [entry.step for entry in status(url)]
    assert verify(url) == []
    after = TodaysBot(url, seed=2, knows_active=True)
    after.write(20)
    assert after.errors == set()


@pytest.mark.parametrize("gap", STEPS)
def test_dirt_that_comes_in_between_two_steps_is_repaired_and_comes_back(gap: str, empty_database_url: str) -> None:
    """Every kind that is let in at that moment, on a shape that refuses nothing: `up` ends, and `down` has all rows."""
    url, written = empty_database_url, {}
    build(url, "FRESH")
    execute(
        url,
        "ALTER TABLE overrides DROP CONSTRAINT overrides_sprint_index_fkey",
        "ALTER TABLE current_state DROP CONSTRAINT current_state_sprint_index_fkey",
        "DROP INDEX users_slack_id_key, users_slack_discipline_unique, sprints_sprint_index_key",
        "DROP INDEX overrides_unique_request, current_state_single_record",
    )
    before = catalog_of(url)

    def write(done: Done) -> None:
        if done.step == gap:
            fill(url, seed=13, size=100)
            written.update(rows_of(url))

    applied = migrate(url, write)
    assert [sentence for sentence in verify(url) if gap < CLEANED_LAST] == []
    down(url, to=applied[0])
    assert catalog_of(url) == before
    assert without_our_audit(rows_of(url)) == written


def test_two_migrators_are_serialised(empty_database_url: str) -> None:
    """Both start at once: one does all the work, the other finds nothing to do."""
    build(empty_database_url, "SEED")
    fill(empty_database_url, seed=12, size=100)
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: migrate(empty_database_url), range(2)))
    assert sorted(map(len, done)) == [0, len(status(empty_database_url))]
    assert verify(empty_database_url) == []


def test_a_lock_that_is_held_delays_up_and_nobody_else(empty_database_url: str) -> None:
    """While somebody holds a table, `up` gives way again and again; readers go on; when it is free, `up` ends."""
    url = empty_database_url
    build(url, "LEGACY")
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass)"
    with (
        psycopg.connect(url) as holder,
        psycopg.connect(url, autocommit=True) as watcher,
        psycopg.connect(url, autocommit=True) as reader,
        ThreadPoolExecutor(1) as pool,
    ):
        holder.execute("SELECT count(*) FROM users")  # holds ACCESS SHARE until its transaction ends
        running = pool.submit(migrate, url)
        try:
            reader.execute("SET statement_timeout = '5s'")
            for _ in range(2):
                deadline = time.monotonic() + 30
                while watcher.execute(waiting).fetchone() != (True,):
                    assert time.monotonic() < deadline
                reader.execute("SELECT count(*) FROM users")  # queues up behind `up`, until that gives way
            assert not running.done()
        finally:
            holder.commit()
        assert running.result() == [entry.step for entry in status(url)]


def test_a_large_tables_index_is_built_while_others_write(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that has written and goes on holds up the build, and the build holds up no writer."""
    monkeypatch.setattr("tasks.adopt.table_step.LARGE_BYTES", 0)
    url = empty_database_url
    build(url, "S1")
    write = "INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id) VALUES (1, 'po', %s, 'U2')"
    building = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%'"
        " AND wait_event_type = 'Lock' AND datname = current_database())"
    )
    with (
        psycopg.connect(url) as holder,
        psycopg.connect(url, autocommit=True) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        writer.execute(
            "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
            " VALUES ('A', '2030-01-01', '2030-01-14', 1)"
        )
        writer.execute("SET lock_timeout = '100ms'")
        holder.execute(write, ("U1",))
        running = pool.submit(migrate, url)
        try:
            deadline = time.monotonic() + 30
            while writer.execute(building).fetchone() != (True,):
                assert time.monotonic() < deadline
            writer.execute(write, ("U3",))
        finally:
            holder.commit()
        assert running.result() == STEPS
    assert verify(url) == []
    assert {row["requested_by"] for row in rows_of(url)["overrides"].values()} == {"U1", "U3"}


def test_a_rehearsal_changes_nothing_and_shows_the_rows(empty_database_url: str) -> None:
    """`--dry-run`: every step with its statements, all rolled back."""
    url = empty_database_url
    build(url, "S1")
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO users (slack_id, name, discipline) VALUES ('test_user_123', 'x', 'po')")
    before = catalog_of(url)
    rehearsed = rehearse(url)
    assert catalog_of(url) == before
    assert [entry.step for entry in rehearsed.steps] == [entry.step for entry in status(url)]
    assert all(entry.applied_at is None for entry in status(url))
    removals = [e for step in rehearsed.steps for e in step.executed if "DELETE FROM users" in e.sql]
    assert [e.rows for e in removals] == [1]
    assert [(entry.table, entry.count, entry.ids) for entry in rehearsed.archived] == [("users", 1, ["1"])]

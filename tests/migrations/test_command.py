"""`onelane migrate` as a person or a script runs it: what it says, its exit codes, and that nothing was changed."""

import resource
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.acceptance.onelane import ONELANE, Onelane
from tests.databases import name_of
from tests.migrations.fill import fill
from tests.migrations.shapes import build
from tests.migrations.snapshot import catalog_of, execute, rows_of, schemas_of, without_our_audit
from worker.embedded.postgres import RunningPostgres
from worker.migrate.plan import Plan
from worker.settings import Settings
from worker.up import announced

STEPS = [step.name for step in Plan(["tasks"]).steps]


@pytest.fixture
def onelane(empty_database_url: str, tmp_path: Path) -> Onelane:
    """Commands that work on an empty database."""
    return Onelane(tmp_path, ONELANE_DATABASE_URL=empty_database_url)


def test_check_up_verify_down(onelane: Onelane, empty_database_url: str) -> None:
    """The whole way, in words: 1 while something stands in the way, 0 when all is well, and back to the start."""
    build(empty_database_url, "S1")
    fill(empty_database_url, seed=31, size=100)
    before = catalog_of(empty_database_url), rows_of(empty_database_url)

    checked = onelane("migrate", "check")
    assert (checked.code, checked.err) == (1, "")
    assert checked.out.startswith("Shape: S1\n")
    assert "overrides: duplicate override (" in checked.out
    assert (catalog_of(empty_database_url), rows_of(empty_database_url)) == before

    up = onelane("migrate", "up")
    lines = up.out.splitlines()
    assert (up.code, up.err) == (0, "")
    assert lines[0].startswith(f"Backup: {onelane.directory}/.onelane/backups/test_")
    assert lines[1].startswith("To restore it: ")
    assert lines[1].endswith(".dump")
    assert [line.split("  ")[0] for line in lines if line.startswith("[")] == [
        f"[{number}/{len(STEPS)}] {step}" for number, step in enumerate(STEPS, 1)
    ]
    assert "In onelane.archive, each row as it was:" in lines
    assert lines[-1] == "Verified: the final catalog and the data rules hold."

    again = onelane("migrate", "up")
    assert (again.code, again.out.splitlines()[0]) == (0, "Nothing to do: all steps are applied.")
    assert onelane("migrate", "verify").out == "Verified: the final catalog and the data rules hold.\n"
    assert onelane("migrate", "check").out.startswith("Shape: FINAL\n")

    down = onelane("migrate", "down")
    assert (down.code, down.out.split("  ")[0]) == (0, f"[1/1] {STEPS[-1]}")
    assert onelane("migrate", "down", STEPS[-2]).out.split("  ")[0] == f"[1/1] {STEPS[-2]}"
    assert onelane("migrate", "down", "--all").code == 0
    assert (catalog_of(empty_database_url), without_our_audit(rows_of(empty_database_url))) == before
    assert onelane("migrate", "down").out == "Nothing to undo: no step is applied.\n"


def test_the_same_as_json(onelane: Onelane, empty_database_url: str) -> None:
    """One document each, for programs."""
    build(empty_database_url, "S1")
    execute(empty_database_url, "INSERT INTO users (slack_id, name, discipline) VALUES ('test_user_123', 'x', 'po')")
    [outlook] = onelane("migrate", "check", "--json").json["databases"]
    assert (outlook["shape"], outlook["differences"]) == ("S1", [])
    assert outlook["findings"] == [
        {
            "what": "users: leftover test_user_123",
            "count": 1,
            "remedy": "moved to the archive",
            "blocks": True,
            "examples": ["id 1"],
        }
    ]
    rehearsed = onelane("migrate", "up", "--dry-run", "--json").json
    assert [entry["step"] for entry in rehearsed["steps"]] == STEPS
    removal = [e for step in rehearsed["steps"] for e in step["executed"] if "DELETE FROM users" in e["sql"]]
    assert [e["rows"] for e in removal] == [1]
    archived = [
        {"table": "users", "action": "removed", "reason": "leftover test_user_123", "count": 1, "ids": ["1"]},
    ]
    assert rehearsed["archived"] == archived
    up = onelane("migrate", "up", "--json", "--backup", "elsewhere").json
    assert (up["applied"], up["archived"], up["departures"]) == (STEPS, archived, [])
    assert Path(up["backup"]["file"]).parent == onelane.directory / "elsewhere"
    assert up["backup"]["size"] == Path(up["backup"]["file"]).stat().st_size
    assert onelane("migrate", "up", "--json").json == {
        "applied": [],
        "backup": None,
        "archived": archived,
        "departures": [],
    }
    status = onelane("migrate", "status", "--json").json["steps"]
    assert [entry["step"] for entry in status] == STEPS
    assert all(entry["applied_at"] for entry in status)
    assert onelane("migrate", "verify", "--json").json == {"departures": []}
    execute(empty_database_url, "DROP INDEX idx_users_active")
    broken = onelane("migrate", "verify", "--json")
    assert (broken.code, broken.json) == (1, {"departures": ["users: the index idx_users_active is missing."]})
    assert onelane("migrate", "down", "--json").json == {"undone": STEPS[-1:], "kept": []}


def test_a_dry_run_shows_every_step_and_keeps_nothing(onelane: Onelane, empty_database_url: str) -> None:
    """Its SQL, how many rows each statement touches, and which rows would go to the archive."""
    build(empty_database_url, "LEGACY")
    execute(empty_database_url, "INSERT INTO users (slack_id, name, discipline) VALUES ('test_user_123', 'x', 'po')")
    before = catalog_of(empty_database_url), rows_of(empty_database_url)
    done = onelane("migrate", "up", "--dry-run")
    lines = done.out.splitlines()
    assert done.code == 0
    assert [line for line in lines if line.startswith("-- 00")] == [f"-- {step}" for step in STEPS]
    assert "ALTER TABLE users DROP CONSTRAINT users_slack_id_key;" in lines
    added = {line.split()[5] for line in lines if " ADD CONSTRAINT " in line and " UNIQUE " not in line}
    assert {line.split()[5] for line in lines if line.endswith(" NOT VALID;")} == added
    assert {line.split()[-1] for line in lines if " VALIDATE CONSTRAINT " in line} == {f"{name};" for name in added}
    assert "FROM gone ORDER BY place;  -- 1 row(s)" in lines
    assert [line.split() for line in lines if line.startswith("users ")] == [
        ["users", "leftover", "test_user_123", "1", "removed", "1"]
    ]
    assert lines[-1] == f"{len(STEPS)} step(s) tried and rolled back; nothing was kept."
    assert (catalog_of(empty_database_url), rows_of(empty_database_url)) == before
    assert schemas_of(empty_database_url) == []
    assert not (onelane.directory / ".onelane").exists()


def test_down_refuses_to_lose_data_and_keeps_it_when_told_to(onelane: Onelane, empty_database_url: str) -> None:
    """A second discipline, and a job in the ledger: named in one sentence, then kept in a schema that is named."""
    build(empty_database_url, "LEGACY")
    assert onelane("migrate", "up", "--no-backup").code == 0
    assert not (onelane.directory / ".onelane").exists()
    execute(
        empty_database_url,
        "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', 'Ann', 'uiEng'), ('U1', 'Ann', 'beEng')",
        "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
        " enqueued_at) VALUES ('j', 'k', 'l', 1, 'a', 'd', 'applied', 'c', 'm', 'w', 1, now())",
    )
    before = catalog_of(empty_database_url), rows_of(empty_database_url)
    refused = onelane("migrate", "down", "--all")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "Going back would lose data: 0002d_users: 1 row(s) of users: a second row of the same slack_id;"
        " 0001_engine: 1 job(s) in the ledger. Use --archive-conflicts to keep it in onelane.archive"
        " (jobs: in the renamed schema).\n"
    )
    assert (catalog_of(empty_database_url), rows_of(empty_database_url)) == before
    done = onelane("migrate", "down", "--all", "--archive-conflicts")
    [kept] = schemas_of(empty_database_url)
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"Jobs and archived rows of earlier times are kept in the schema {kept}."


def test_lockdown_and_undo(onelane: Onelane, empty_database_url: str) -> None:
    """The role is made, gets its password by the environment, and goes again."""
    role = f"bot_{name_of(empty_database_url)[5:25]}"
    refused = onelane("migrate", "lockdown", "--role", role)
    assert (refused.code, refused.out) == (2, "")
    assert (
        refused.err
        == f"The database lacks the migration {STEPS[0]} and {len(STEPS) - 1} more: run `onelane migrate up`.\n"
    )
    onelane("migrate", "up")
    assert "It got no password: set ONELANE_BOT_PASSWORD" in onelane("migrate", "lockdown", "--role", role).out
    knowing = onelane.with_settings(ONELANE_BOT_PASSWORD="hunter2")  # noqa: S106 - no secret
    told = knowing("migrate", "lockdown", "--role", role)
    assert (told.code, "hunter2" in told.out) == (0, False)
    assert told.out.splitlines()[0] == f"The role {role} reads everything and writes none of the workers' tables."
    assert onelane("migrate", "lockdown", "--role", role, "--undo").out == f"The role {role} is gone.\n"
    gone = onelane("migrate", "lockdown", "--role", role, "--undo")
    assert (gone.code, gone.err) == (2, f"There is no role {role}.\n")


def test_without_a_url_the_database_of_a_running_up_is_found(empty_database_url: str, tmp_path: Path) -> None:
    """By the file that `onelane up` leaves while it runs; without that, one sentence."""
    onelane = Onelane(tmp_path)
    settings = Settings.load(data_dir=tmp_path / ".onelane", database_url=empty_database_url, redis_url="redis://x")
    settings.data_dir.mkdir()
    with announced(settings):
        assert onelane("migrate", "up").code == 0
        assert onelane("migrate", "verify").code == 0
    for command in ("check", "status"):
        done = onelane("migrate", command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("No PostgreSQL is configured: set ONELANE_DATABASE_URL, or run `onelane up`")


@pytest.mark.parametrize("command", ["check", "up"])
def test_no_database_there(command: str, tmp_path: Path) -> None:
    """One sentence, exit code 2, the password nowhere."""
    url = "postgresql://bot:hunter2@127.0.0.1:1/bot"
    done = Onelane(tmp_path, ONELANE_DATABASE_URL=url)("migrate", command)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("PostgreSQL can't be used: connection failed: ")
    assert done.err.count("\n") == 1
    assert "hunter2" not in done.err


@pytest.mark.parametrize(
    "url", ["postgres//bot:hunter2@host/bot", "postgresql://bot:hunter2/x@127.0.0.1:1/bot", "no url"]
)
def test_a_url_that_is_none(url: str, tmp_path: Path) -> None:
    """One sentence that repeats no piece of it."""
    done = Onelane(tmp_path, ONELANE_DATABASE_URL=url)("migrate", "up")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert "hunter2" not in done.err


def test_wrong_rights(onelane: Onelane, empty_database_url: str) -> None:
    """One who owns nothing."""
    build(empty_database_url, "LEGACY")
    before = catalog_of(empty_database_url), rows_of(empty_database_url)
    role = name_of(empty_database_url)
    execute(empty_database_url, f"CREATE ROLE {role} LOGIN")
    poor = onelane.with_settings(ONELANE_DATABASE_URL=make_conninfo(empty_database_url, user=role))
    try:
        for command in ("check", "up"):
            done = poor("migrate", command)
            assert (done.code, done.out) == (2, "")
            assert done.err == "The database user may not create a schema here: use the owner of the database.\n"
    finally:
        execute(empty_database_url, f"DROP ROLE {role}")
    assert (catalog_of(empty_database_url), rows_of(empty_database_url)) == before


def test_a_read_replica(tmp_path: Path) -> None:
    """A server in recovery."""
    server = RunningPostgres(tmp_path, durable=False)
    try:
        server.start()
        server.stop()
        (tmp_path / "cluster" / "standby.signal").touch()
        server.start()
        for command in ("check", "up", "down"):
            done = Onelane(tmp_path, ONELANE_DATABASE_URL=server.url)("migrate", command)
            assert (done.code, done.out) == (2, "")
            assert done.err == "This database is a read replica: use the primary's URL.\n"
    finally:
        server.stop()


def test_a_database_that_is_not_the_bots(onelane: Onelane, empty_database_url: str) -> None:
    """A table of the same name with other columns."""
    execute(empty_database_url, "CREATE TABLE sprints (id serial PRIMARY KEY, title text)")
    for command in (("check",), ("up",), ("up", "--dry-run")):
        done = onelane("migrate", *command)
        assert (done.code, done.out) == (2, "")
        assert done.err == "public.sprints has no column sprint_name: this is not the bot's database.\n"
    assert schemas_of(empty_database_url) == []
    assert not (onelane.directory / ".onelane").exists()


def test_a_newer_schema_than_this_release_knows(onelane: Onelane, empty_database_url: str) -> None:
    """Neither forward nor back nor proved."""
    onelane("migrate", "up")
    execute(empty_database_url, "INSERT INTO onelane.migrations (name, checksum) VALUES ('9999_future', 'x')")
    for command in ("up", "verify", "lockdown"):
        done = onelane("migrate", command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("The database has step 9999_future, newer than this release or of a module that")
        assert done.err.count("\n") == 1


def test_too_little_disk_for_the_backup(onelane: Onelane, empty_database_url: str) -> None:
    """The disk runs full under pg_dump: one sentence, no file, no step."""
    build(empty_database_url, "LEGACY")
    fill(empty_database_url, seed=32, size=100)
    before = catalog_of(empty_database_url), rows_of(empty_database_url)
    done = subprocess.run(
        [ONELANE, "migrate", "up"],
        cwd=onelane.directory,
        env=onelane.environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pg_dump failed: ")
    assert done.stderr.count("\n") == 1
    assert list((onelane.directory / ".onelane" / "backups").iterdir()) == []
    assert (catalog_of(empty_database_url), rows_of(empty_database_url)) == before
    assert schemas_of(empty_database_url) == []


def test_options_that_exclude_each_other(onelane: Onelane) -> None:
    """Before anything is done."""
    both = onelane("migrate", "up", "--no-backup", "--backup", "here")
    assert (both.code, "--backup and --no-backup exclude each other" in both.err) == (2, True)
    both = onelane("migrate", "down", "0001_engine", "--all")
    assert (both.code, "STEP and --all exclude each other" in both.err) == (2, True)


def test_a_kill_of_the_command_at_any_moment(onelane: Onelane, empty_database_url: str) -> None:
    """SIGKILL sooner and later, again and again, until one gets through: it ends as if nothing had happened."""
    build(empty_database_url, "S1")
    fill(empty_database_url, seed=33, size=400)
    delay, code = 0.25, -signal.SIGKILL
    while code:
        running = onelane.start("migrate", "up", "--no-backup")
        try:
            code = running.wait(delay)
            assert code == 0
        except subprocess.TimeoutExpired:
            running.kill()
            code = running.wait()
            assert code in {0, -signal.SIGKILL}  # it may get through just before the signal
        delay *= 1.2
    assert onelane("migrate", "verify").code == 0
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def test_ctrl_c_stops_it_between_steps_or_inside_one_and_nothing_is_half_done(
    onelane: Onelane, empty_database_url: str
) -> None:
    """While it waits for a lock."""
    build(empty_database_url, "LEGACY")
    with psycopg.connect(empty_database_url) as holder:
        holder.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")
        running = onelane.start("migrate", "up", "--no-backup")
        deadline = time.monotonic() + 20
        while "0002c_sprints" not in (onelane.directory / "log").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) != 0
    assert "Traceback" not in (onelane.directory / "log").read_text()
    assert onelane("migrate", "up", "--no-backup").code == 0

"""`onelane up` and `worker`: everything comes up, is looked after, and leaves nothing behind, however it ends."""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance import stamps
from tests.acceptance.onelane import Onelane, interrupt, processes_of, until
from tests.migrations.fill import fill
from tests.migrations.shapes import build
from tests.migrations.snapshot import rows_of
from worker.embedded import start_postgres

BY = ("--actor", "U0EXAMPLE09")


@pytest.fixture
def mine(tmp_path: Path) -> Onelane:
    """Commands in a directory of this test's own, with a module of job kinds."""
    shutil.copy(stamps.__file__, tmp_path / "mystamps.py")
    return Onelane(tmp_path, ONELANE_TASKS="tasks,mystamps")


@contextmanager
def running(onelane: Onelane, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A running `up`; killed with all that is its own if the test fails."""
    (onelane.directory / "log").unlink(missing_ok=True)
    process = onelane.start("up", *options)
    try:
        until(lambda: "Ctrl-C stops it all." in log_of(onelane) or process.poll() is not None, "up")
        yield process
    finally:
        process.kill()
        process.wait()
        until(lambda: not processes_of(onelane.directory), "the end of all its processes")


def log_of(onelane: Onelane) -> str:
    """What `up` and its workers have said."""
    return (onelane.directory / "log").read_text()


def ready_workers(onelane: Onelane) -> list[str]:
    """Names of workers, as often as they have come up."""
    return re.findall(r"MainProcess\] (\w+)@\S+ ready\.", log_of(onelane))


def get(url: str, password: str | None = None) -> Any:
    """What a page says, as JSON if it is."""
    request = urllib.request.Request(url)
    if password is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"onelane:{password}".encode()).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    return json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text


def test_up_runs_everything_and_ctrl_c_stops_it_all_when_what_was_begun_is_finished(
    mine: Onelane, free_port: int
) -> None:
    with running(mine, "--workers", "2", "--flower-port", str(free_port), "--metrics-port", "0") as up:
        said = log_of(mine)
        assert re.search(r"^Redis +our own, in \.onelane/redis$", said, re.MULTILINE)
        assert re.search(r"^PostgreSQL +our own, in \.onelane/postgres$", said, re.MULTILINE)
        assert re.search(r"^Workers +worker1, worker2$", said, re.MULTILINE)
        (password,) = re.findall(rf"http://127\.0\.0\.1:{free_port} \(user onelane, password (\S+)\)", said)
        (metrics,) = re.findall(r"^Metrics +(http://127\.0\.0\.1:\d+/metrics)$", said, re.MULTILINE)
        stamps.make_tables(mine.services()["database_url"])
        until(lambda: sorted(ready_workers(mine)) == ["worker1", "worker2"], "two workers")

        url = f"http://127.0.0.1:{free_port}"
        until(lambda: health_of(free_port), "Flower")
        seen = f"{url}/workers?json=1"
        workers = until(lambda: len(found := get(seen, password)["data"]) == 2 and found, "Flower's workers")
        assert {(worker["hostname"].split("@")[0], worker["status"]) for worker in workers} == {
            (name, True) for name in ("worker1", "worker2")
        }
        done = mine("enqueue", "stamp.write", "page=p", "text=t", *BY, "--id", "seen", "--wait", "20")
        assert (done.code, done.out) == (0, "seen waits on page:p.\napplied: U0EXAMPLE09 stamped t on p.\n")
        task = until(lambda: get(f"{url}/api/tasks", password).get("seen"), "the job in Flower")
        assert (task["name"], task["state"], task["result"]) == ("stamp.write", "SUCCESS", "applied: stamped")
        assert "onelane_up" in get(metrics)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(f"{url}/api/tasks")
        assert oct((mine.directory / ".onelane" / "services.json").stat().st_mode & 0o777) == "0o600"

        mine("enqueue", "stamp.slow", "page=p", "text=slow", "seconds=2", *BY)
        with psycopg.connect(mine.services()["database_url"], autocommit=True) as database:
            sql = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            until(lambda: database.execute(sql).fetchone() is not None, "the job to begin")
        assert interrupt(up) == 0
        assert processes_of(mine.directory) == {}
        assert log_of(mine).endswith("Stopped.\n")
        assert "Traceback" not in log_of(mine)
    lost = mine("lanes")
    assert (lost.code, lost.err) == (
        2,
        "No Redis is configured: set ONELANE_REDIS_URL, or run `onelane up` in this directory.\n",
    )
    with start_postgres(mine.directory / ".onelane" / "postgres") as server, psycopg.connect(server.url) as database:
        assert database.execute("SELECT text FROM stamps ORDER BY n").fetchall() == [("t",), ("slow",)]


def test_what_dies_is_started_again_and_a_killed_up_leaves_nothing_running(mine: Onelane) -> None:
    with running(mine, "--workers", "1", "--no-flower") as up:
        stamps.make_tables(mine.services()["database_url"])
        until(lambda: ready_workers(mine), "the worker")
        assert mine("enqueue", "stamp.write", "page=p", "text=a", *BY, "--wait", "20").code == 0

        servers = [pid for pid, command in processes_of(mine.directory).items() if is_server(command)]
        assert len(servers) == 2
        for pid in [*servers, worker_of(mine, "worker1")]:
            os.kill(pid, signal.SIGKILL)
        until(lambda: ready_workers(mine) == ["worker1", "worker1"], "the worker's successor", 40)
        said = log_of(mine)
        assert "worker1 was killed by SIGKILL; it starts again in 1 s.\n" in said
        for name in ("Redis", "PostgreSQL"):
            assert f"{name} had died, and was started again; all that it had acknowledged is there.\n" in said
        assert mine("enqueue", "stamp.write", "page=p", "text=b", *BY, "--wait", "20").code == 0

        up.kill()
        up.wait()
        until(lambda: processes_of(mine.directory) == {}, "the end of all its processes")
        assert "No Redis is configured" in mine("lanes").err  # whatever stands in the file that it left
    with running(mine, "--workers", "1", "--no-flower") as up:
        assert mine("enqueue", "stamp.write", "page=p", "text=c", *BY, "--wait", "20").code == 0
        with psycopg.connect(mine.services()["database_url"]) as database:
            assert database.execute("SELECT text FROM stamps ORDER BY n").fetchall() == [("a",), ("b",), ("c",)]
        assert interrupt(up) == 0


def is_server(command: str) -> bool:
    """Whether it is the parent of all processes of a Redis or a PostgreSQL."""
    return bool(re.match(r"\S+/(redis-server|postgres) (unixsocket:|-D )", command))


def worker_of(onelane: Onelane, name: str) -> int:
    """The main process of a worker."""
    return min(pid for pid, command in processes_of(onelane.directory).items() if f"--hostname={name}@" in command)


def test_ctrl_c_while_it_starts_leaves_nothing_running(mine: Onelane) -> None:
    up = mine.start("up", "--no-flower")
    try:
        until(lambda: any(is_server(command) for command in processes_of(mine.directory).values()), "a server")
        assert interrupt(up) == 130
        assert "Traceback" not in log_of(mine)
        assert processes_of(mine.directory) == {}
    finally:
        up.kill()
        up.wait()


def test_a_port_in_use_and_a_second_up_are_said(onelane: Onelane, mine: Onelane) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = mine("up", "--flower-port", str(port))
        sentence = (
            f"Flower can't have port {port} on 127.0.0.1 (Address already in use): choose another with --flower-port, "
            "or leave Flower out with --no-flower.\n"
        )
        assert (done.code, done.err) == (2, sentence)
        done = mine("up", "--no-flower", "--metrics-port", str(port))
        sentence = f"Metrics can't have port {port} on 127.0.0.1 (Address already in use): choose another one.\n"
        assert (done.code, done.err) == (2, sentence)
    done = onelane("up", "--no-flower")
    where = onelane.directory / ".onelane"
    sentence = f"`onelane up` runs already in {where}: stop it, or set ONELANE_DATA_DIR to another one.\n"
    assert (done.code, done.err) == (2, sentence)
    assert processes_of(mine.directory) == {}


def test_a_worker_of_ones_own_joins_in_and_finishes_what_it_has_begun(onelane: Onelane) -> None:
    log = onelane.directory / "worker-log"
    worker = onelane.start("worker", "--name", "extra", log=log)
    until(lambda: re.search(r"extra@\S+ ready\.", log.read_text()), "the worker")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert "Traceback" not in log.read_text()


def test_celerys_own_commands_work_as_any_celery_user_expects(onelane: Onelane, free_port: int) -> None:
    celery = [str(Path(sys.executable).with_name("celery")), "-A", "worker.app"]
    options = {"cwd": onelane.directory, "env": onelane.environment}
    log = (onelane.directory / "celery-log").open("wb")
    worker = subprocess.Popen([*celery, "worker", "-n", "plain@%h", "-l", "INFO"], stdout=log, stderr=log, **options)  # type: ignore[call-overload]
    flower = subprocess.Popen([*celery, "flower", f"--port={free_port}"], stdout=log, stderr=log, **options)  # type: ignore[call-overload]
    try:
        until(lambda: b"plain@" in log_bytes(log.name) and b" ready." in log_bytes(log.name), "the worker")
        ping = subprocess.run([*celery, "inspect", "ping", "-j"], capture_output=True, check=False, **options)  # type: ignore[call-overload]
        assert {name.split("@")[0] for name in json.loads(ping.stdout)} == {"worker1", "worker2", "plain"}
        assert until(lambda: health_of(free_port), "Flower") == "OK"
    finally:
        for process in (worker, flower):
            process.terminate()
        codes = [process.wait(20) for process in (worker, flower)]
        log.close()
    assert codes == [0, 0]
    assert b"Traceback" not in log_bytes(log.name)


def log_bytes(name: str) -> bytes:
    """What is in a file."""
    return Path(name).read_bytes()


def health_of(port: int) -> str | None:
    """What Flower says of itself; None while it doesn't answer."""
    try:
        return str(get(f"http://127.0.0.1:{port}/healthcheck"))
    except urllib.error.URLError:
        return None


def test_a_database_of_the_bot_is_backed_up_before_it_is_migrated(mine: Onelane, empty_database_url: str) -> None:
    """Once, before the first step; and if that can't be, nothing is migrated."""
    build(empty_database_url, "LEGACY")
    fill(empty_database_url, seed=7, size=50)
    before = rows_of(empty_database_url)
    configured = mine.with_settings(ONELANE_DATABASE_URL=empty_database_url)
    backups = mine.directory / ".onelane" / "backups"
    backups.parent.mkdir()
    backups.write_text("in the way")
    refused = configured("up", "--workers", "1", "--no-flower")
    assert (refused.code, refused.err) == (2, "The backup can't be written to .onelane/backups: File exists.\n")
    assert rows_of(empty_database_url) == before

    backups.unlink()
    said = []
    for _ in range(2):
        with running(configured, "--workers", "1", "--no-flower") as up:
            said.append(log_of(mine))
            assert interrupt(up) == 0
    (dump,) = backups.glob("*.dump")
    assert hashlib.sha256(dump.read_bytes()).hexdigest() in (backups / f"{dump.name}.sha256").read_text()
    assert [f"Backup: {dump} (" in each for each in said] == [True, False]
    assert "To restore it: " in said[0]
    with psycopg.connect(empty_database_url) as database:
        assert database.execute("SELECT count(*) > 1 FROM onelane.migrations").fetchone() == (True,)


def test_a_database_that_nobody_has_used_yet_needs_no_backup(mine: Onelane) -> None:
    with running(mine, "--workers", "1", "--no-flower") as up:
        assert "Backup" not in log_of(mine)
        assert interrupt(up) == 0
    assert not (mine.directory / ".onelane" / "backups").exists()

"""The embedded services: durable over kill -9, one a directory, gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from worker.embedded import start_postgres, start_redis
from worker.embedded.server import SOCKET_PATH_LIMIT


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true before the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def alive(pid: int) -> bool:
    """Whether a process lives (a zombie, whose parent is not us, does not)."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_redis_keeps_acknowledged_writes_over_a_kill(tmp_path: Path) -> None:
    """AOF with fsync always: what was acknowledged is there after SIGKILL and restart, at the same URL."""
    with start_redis(tmp_path) as server:
        url, first = server.url, server.pid
        with Redis.from_url(url) as client:
            client.rpush("lane", *range(1000))
            server.kill()
            assert not server.running
            server.restart()
            assert (server.url, server.pid == first) == (url, False)
            assert client.lrange("lane", 0, -1) == [str(n).encode() for n in range(1000)]
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert not server.running


def test_postgres_keeps_committed_rows_over_a_kill(tmp_path: Path) -> None:
    """A commit is there after SIGKILL and restart; the settings that the promises rest on are in force."""
    with start_postgres(tmp_path) as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
            server.kill()
            server.restart()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                assert connection.execute("SELECT current_setting(%s)", (name,)).fetchone() == ("on",)
            assert connection.execute(
                "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
            ).fetchone() == ("UTF8", "C")
    assert not server.running


def test_a_directory_with_a_long_path_works(tmp_path: Path) -> None:
    """A Unix socket's path is limited; then the socket lies elsewhere."""
    deep = tmp_path / ("x" * SOCKET_PATH_LIMIT)
    with start_redis(deep / "redis") as redis_server, Redis.from_url(redis_server.url) as client:
        assert client.ping() is True
    with start_postgres(deep / "postgres", durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent was killed")
def test_servers_end_with_a_killed_parent_and_start_again(tmp_path: Path) -> None:
    """SIGKILL of the process that started them stops both; the next start finds its data."""
    script = (
        "import sys, pathlib\n"
        "from worker.embedded import start_postgres, start_redis\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "with start_redis(root / 'r') as r, start_postgres(root / 'p', durable=False) as p:\n"
        "    print(r.pid, p.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert within(20, lambda: not any(alive(pid) for pid in pids))
    with start_redis(tmp_path / "r") as redis_server, start_postgres(tmp_path / "p", durable=False) as server:
        assert redis_server.running
        assert server.running


def test_a_second_server_in_one_directory_waits_for_the_first(tmp_path: Path) -> None:
    """A start while the last one still stops is no error: it goes on when the directory is free."""
    with start_redis(tmp_path) as first:
        first._signal(signal.SIGTERM)
        with start_redis(tmp_path) as second:
            assert second.running
            assert not first.running


def running_for(directory: Path) -> list[str]:
    """The command lines of the living programs of PostgreSQL that inherited this directory's lock."""
    lock, found = directory / "lock", []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            # Few are looked into, as a stage does not last long.
            if "pginstall" in command and any(d.resolve() == lock for d in (process / "fd").iterdir()):
                found.append(command)
        except OSError:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("stage", ["/initdb ", " --boot ", " --single "])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_while_the_data_directory_is_made_leaves_nothing_behind(
    tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    """After Ctrl-C no program of initdb is left when we are gone; after SIGKILL too the next start succeeds."""
    script = (
        "import os, pathlib, sys\n"
        "from worker.embedded import start_postgres\n"
        "try:\n"
        "    with start_postgres(pathlib.Path(sys.argv[1])): os._exit(1)\n"
        "except KeyboardInterrupt:\n"
        "    os._exit(130)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, text=True) as maker:
        assert within(20, lambda: any(stage in command for command in running_for(tmp_path)))
        maker.send_signal(number)
    if number == signal.SIGINT:
        assert maker.returncode == 130
        assert running_for(tmp_path) == []
    with start_postgres(tmp_path, durable=False) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not (tmp_path / "cluster.new").exists()

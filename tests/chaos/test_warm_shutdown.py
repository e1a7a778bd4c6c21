"""A worker that is asked to end says goodbye to PostgreSQL: no session of it ends as if somebody had pulled a cable."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.chaos.conftest import Stand
from tests.integration.kinds import Write
from tests.integration.notebook import ACTOR, Notebook, eventually
from tests.operations.conftest import environment, running_worker
from worker.settings import Settings


@pytest.fixture
def log(stand: Stand) -> Iterator[Path]:
    """The server's log; it tells of each session's end, and of those that broke off."""
    with psycopg.connect(stand.postgres.url, autocommit=True) as connection:
        for name, value in (("log_min_messages", "debug1"), ("log_disconnections", "on"), ("log_line_prefix", "[%a] ")):
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        connection.execute("SELECT pg_reload_conf()")
        yield stand.postgres.log_file
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")


def test_sessions_are_closed_when_a_worker_is_asked_to_end(
    settings: Settings, notebook: Notebook, log: Path, tmp_path: Path
) -> None:
    before = log.stat().st_size
    with running_worker(settings, tmp_path / "log") as worker:
        assert notebook.client.enqueue(Write(page="p", text="one"), actor=ACTOR).wait(20).status == "applied"
        (name,) = (row["worker"] for row in notebook.rows("SELECT worker FROM onelane.ledger"))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0

    def said() -> str:
        return log.read_bytes()[before:].decode()

    ends = {f"[onelane {name}] LOG:  disconnection", "[onelane-watch] LOG:  disconnection"}
    eventually(lambda: all(end in said() for end in ends), "the sessions have ended")
    assert re.findall(r"\[onelane.*unexpected EOF.*", said()) == []


def test_a_drain_that_redis_leaves_is_no_failure_and_the_next_one_goes_on(
    stand: Stand, settings: Settings, notebook: Notebook, tmp_path: Path
) -> None:
    """A failed task's traceback may be more than fits into its pool's pipe."""
    log = tmp_path / "log"
    with running_worker(settings.model_copy(update={"linger_ms": 3_000, "slice_ms": 60_000}), log) as worker:
        assert notebook.client.enqueue(Write(page="p", text="one"), actor=ACTOR).wait(20).status == "applied"
        eventually(lambda: notebook.redis.zcard(notebook.keys.named("lingering")) == 1, "the drain lingers")
        stand.redis.kill()
        eventually(lambda: "Redis is away" in log.read_text(), "the drain notices")
        stand.redis.start()
        assert notebook.client.enqueue(Write(page="p", text="two"), actor=ACTOR).wait(20).status == "applied"
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    said = log.read_text()
    assert "Redis is away (ConnectionError); the drain ends." in said
    assert "'1 applied, 1 outage'" in said
    assert "raised unexpected" not in said


def test_a_process_of_the_pool_waits_two_seconds_for_a_result_that_nobody_reads(settings: Settings) -> None:
    """The moment in which it matters can't be chosen from outside (storms have met it): that the setting is one can."""
    look = "[getattr(pool, f'GUARANTEE_MESSAGE_CONSUMPTION_RETRY_{name}') for name in ('LIMIT', 'INTERVAL')]"
    code = f"from billiard import pool; print({look}); import worker.app; print({look})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[300, 0.1]", "[20, 0.1]"]

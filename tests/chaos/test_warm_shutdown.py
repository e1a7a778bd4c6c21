"""A worker that is asked to end says goodbye to PostgreSQL: no session of it ends as if somebody had pulled a cable."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.chaos.conftest import Stand
from tests.integration.kinds import Write
from tests.integration.notebook import ACTOR, Notebook, eventually
from tests.operations.conftest import running_worker
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

"""The overview of all commands, their help, and what they load."""

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from tests.acceptance.onelane import ONELANE, Onelane
from worker.cli import app
from worker.cli.commands import COMMANDS, GROUP

HEAVY = (
    *("psycopg", "flower", "apprise", "prometheus_client", "worker.batch", "worker.migrate"),
    *("celery.worker.consumer", "celery.apps", "celery.bin", "celery.concurrency.base"),
)
WATCHED = """
import runpy, sys
from pathlib import Path
sys.argv = ["onelane", *sys.argv[1:]]
try:
    runpy.run_path({command!r}, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", " ".join(name for name in {heavy!r} if name in sys.modules))
"""


def loaded_by(onelane: Onelane, *words: str) -> str:
    """Which of the heavy packages a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED.format(command=ONELANE, heavy=HEAVY), *words],
        cwd=onelane.directory,
        env=onelane.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.rpartition("loaded:")[2].strip()


def test_the_overview_names_every_command_with_a_line(tmp_path: Path) -> None:
    done = Onelane(tmp_path)("--help")
    assert (done.code, done.err) == (0, "")
    for name, (_, line) in COMMANDS.items():
        assert any(name in said and line in said for said in done.out.splitlines()), name


def test_the_help_of_every_command_is_short_and_begins_with_what_it_does() -> None:
    for name in COMMANDS:
        done = CliRunner().invoke(app, [name, "--help"], prog_name="onelane", env={"COLUMNS": "100"})
        assert (done.exit_code, done.stderr) == (0, ""), name
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        assert lines[0].startswith(f"Usage: onelane {name}")
        assert lines[1][0].isupper()
        assert len(lines) <= 40


def test_a_command_that_can_not_be_loaded_breaks_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "broken-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        f"[{GROUP}]\nmissing = no_such_module:command\nfaulty = faulty:command\nempty = empty:command\n"
    )
    (tmp_path / "faulty.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("")
    onelane = Onelane(tmp_path, PYTHONPATH=str(tmp_path))
    done = onelane("--help")
    assert (done.code, done.err) == (0, "")
    for name, why in (("missing", "ModuleNotFoundError"), ("faulty", "ZeroDivisionError"), ("empty", "AttributeError")):
        assert any(name in said and f"It can't be loaded: {why}." in said for said in done.out.splitlines())
    assert onelane("spool", "status").code == 0
    for name in ("missing", "faulty", "empty"):
        done = onelane(name)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"The command {name!r} (")
        assert done.err.count("\n") == 1


def test_an_unknown_command_and_the_version_are_said(tmp_path: Path) -> None:
    done = Onelane(tmp_path)("enqeue")
    assert (done.code, "No such command 'enqeue'" in done.err) == (2, True)
    done = Onelane(tmp_path)("--version")
    assert (done.code, done.out.startswith("onelane ")) == (0, True)


def test_commands_load_only_what_they_need(onelane: Onelane) -> None:
    enqueue = ("enqueue", "stamp.write", "page=light", "text=t", "--actor", "U0EXAMPLE09", "--wait", "20")
    for words in (enqueue, ("lanes",)):
        assert loaded_by(onelane, *words) == ""


def test_the_overview_loads_only_what_it_needs(tmp_path: Path) -> None:
    assert loaded_by(Onelane(tmp_path), "--help") == ""

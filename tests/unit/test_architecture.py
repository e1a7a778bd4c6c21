"""Imports point one way: `tasks` on `worker`, never back, and never round."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from worker.cli.commands import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = (
    "psycopg",
    "celery.worker",
    "celery.bin",
    "flower",
    "prometheus_client",
    "typer",
    "rich",
    "apprise",
    "slack_sdk",
)
CELERY = "celery.app.base"
"""What rings, and what takes long to load; `celery` alone is but a name."""


def modules(*packages: str) -> dict[str, Path]:
    """The modules of packages, by name."""
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    return {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imported(file: Path, known: dict[str, Path]) -> Iterator[str]:
    """Which of the known modules a file imports anywhere, in functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: modules are named in full"
            names = {name if (name := f"{node.module}.{alias.name}") in known else node.module for alias in node.names}
            yield from (name for name in names if name in known)


MODULES = modules("worker", "tasks")
IMPORTS = {name: set(imported(file, MODULES)) - {name} for name, file in MODULES.items()}


def test_the_engine_knows_nothing_of_the_domain() -> None:
    known = MODULES | dict.fromkeys(("tests", "bench", "tasks"), ROOT)
    found = {
        name: sorted(bad)
        for name, file in MODULES.items()
        if (bad := {each for each in imported(file, known) if not each.startswith(("worker", name.split(".")[0]))})
    }
    assert found == {}


def test_no_module_needs_itself_on_the_way_round() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" ← ".join(error.args[1]))


def test_the_graph_is_the_one_that_python_sees() -> None:
    """Lest the two tests above look at nothing."""
    assert {"worker.lane", "worker.script", "worker.settings"} <= IMPORTS["worker.enqueue"]
    assert "worker.outbox" in IMPORTS["worker.client"]  # within a function
    assert "worker" in IMPORTS["tasks.triage_job"]
    assert len(IMPORTS) > 100


def loaded(code: str, *heavy: str) -> list[str]:
    """Which of these modules a fresh Python has loaded after this code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*(m for m in {heavy} if m in sys.modules))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.split()


def test_what_a_bot_imports_loads_no_worker_no_database_and_no_terminal() -> None:
    assert loaded("from worker import Client, Job", *HEAVY) == []


def test_a_client_has_loaded_what_its_first_ring_takes() -> None:
    imports = "from worker import Client; from worker.settings import Settings"
    client = "Client(Settings(redis_url='redis://localhost:1/0'))"
    assert loaded(imports, CELERY) == []
    assert loaded(f"{imports}; {client}", CELERY, *HEAVY) == [CELERY]


@pytest.mark.parametrize("command", ["lanes", "lane", "dead", "job", "spool"])
def test_a_command_that_looks_begins_without_celery(command: str) -> None:
    """It is a fifth of what they load. Nor do they begin with what looks at the schema, or brings jobs into lanes."""
    place, _, name = COMMANDS[command][0].partition(":")
    others = ("celery", "flower", "apprise", "tenacity", "tasks", "worker.migrate", "worker.relay")
    assert loaded(f"from worker.cli import main; from {place} import {name}", *others) == []


def test_each_file_says_what_it_is_and_is_short_enough_to_be_read() -> None:
    for name, file in MODULES.items():
        text = file.read_text()
        assert ast.get_docstring(ast.parse(text)), name
        assert text.count("\n") <= 320, name

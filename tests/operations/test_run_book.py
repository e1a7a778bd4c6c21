"""docs/operations.md names only commands and options that there are."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.operations.conftest import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()
LINES = re.findall(r"^\$ (onelane .+)$", PAGE, re.MULTILINE) + re.findall(r"`(onelane [^`]+)`", PAGE)
COMMANDS = sorted({line.partition(" | ")[0] for line in LINES})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_run_book_is_one(command: str) -> None:
    words = [sys.executable, "-c", "from worker.cli import main; main()", *shlex.split(command)[1:], "--help"]
    done = subprocess.run(words, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_reading_command_answers_with_json_as_the_run_book_promises() -> None:
    reading = ("health", "job X", "lanes", "lane show X", "dead list", "dead stats", "dead show X", "spool status")
    for command in (*reading, "migrate verify"):
        words = [sys.executable, "-c", "from worker.cli import main; main()", *command.split(), "--json", "--help"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (command, done.returncode) == (command, 0)

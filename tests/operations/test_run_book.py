"""docs/operations.md names only commands and options that there are."""

import re
import shlex
from pathlib import Path

import pytest

from tests.acceptance.onelane import Onelane
from tests.operations.conftest import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()
LINES = re.findall(r"^\$ (onelane .+)$", PAGE, re.MULTILINE) + re.findall(r"`(onelane [^`]+)`", PAGE)
COMMANDS = sorted({line.partition(" | ")[0] for line in LINES})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_run_book_is_one(command: str, tmp_path: Path) -> None:
    done = Onelane(tmp_path)(*shlex.split(command)[1:], "--help")
    assert (done.code, done.err) == (0, "")


def test_each_reading_command_answers_with_json_as_the_run_book_promises(tmp_path: Path) -> None:
    reading = ("health", "job X", "lanes", "lane show X", "dead list", "dead stats", "dead show X", "spool status")
    for command in (*reading, "migrate verify"):
        done = Onelane(tmp_path)(*command.split(), "--json", "--help")
        assert (command, done.code) == (command, 0)

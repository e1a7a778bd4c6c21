"""Tables: numbers stand right, all else left, an absent value is a dash. And a disk that takes no answer."""

import subprocess
from pathlib import Path

import pytest

from tests.acceptance.onelane import ONELANE
from worker.cli.output import show_table


def test_a_column_stands_right_only_if_it_holds_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("number", "nothing", "text"), [(1, None, "a"), (None, None, "b")])
    assert capsys.readouterr().out.splitlines() == [
        "number  nothing  text",
        "     1  –        a",
        "     –  –        b",
    ]


@pytest.mark.parametrize("words", [["--help"], ["lanes", "--help"], ["spool", "status"], ["spool", "status", "--json"]])
def test_an_answer_that_a_full_disk_does_not_take_is_a_sentence(tmp_path: Path, words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([ONELANE, *words], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.decode()) == (
        1,
        "The answer can't be written to its end (No space left on device).\n",
    )

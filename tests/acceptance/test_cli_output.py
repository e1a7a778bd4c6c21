"""Tables: numbers stand right, all else left, an absent value is a dash."""

import pytest

from worker.cli.output import show_table


def test_a_column_stands_right_only_if_it_holds_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("number", "nothing", "text"), [(1, None, "a"), (None, None, "b")])
    assert capsys.readouterr().out.splitlines() == [
        "number  nothing  text",
        "     1  –        a",
        "     –  –        b",
    ]

"""Background work goes on, whatever goes wrong in one of its turns."""

import logging
import threading

import pytest

from worker import background
from worker.background import Background

SECONDS = 10.0


def test_a_turn_that_fails_is_logged_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "AFTER_ERROR_SECONDS", 0.0)
    turns, third, ended = [], threading.Event(), []

    def turn() -> float:
        turns.append(len(turns))
        if len(turns) < 3:
            raise LookupError(f"turn {turns[-1]}")
        third.set()
        return SECONDS

    work = Background("onelane-test", turn, lambda: ended.append(list(turns)))
    work.start()
    assert third.wait(SECONDS)
    work.stop(SECONDS)
    assert (turns, ended, work.is_stopped) == ([0, 1, 2], [[0, 1, 2]], True)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "onelane-test has failed, and tries again in 0 s.")
    ] * 2
    assert "LookupError: turn 1" in caplog.text


def test_a_turn_that_waits_can_be_woken_to_end() -> None:
    begun, woken, ended = threading.Event(), threading.Event(), threading.Event()

    def turn() -> float:
        begun.set()
        assert woken.wait(SECONDS)
        return 0

    work = Background("onelane-test", turn, ended.set)
    work.start()
    assert begun.wait(SECONDS)
    work.stop(SECONDS, woken.set)
    assert ended.is_set()

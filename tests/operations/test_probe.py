"""A probe asks one question at a time, and nobody waits longer for the answer than they said."""

import threading
import time

import pytest

from worker.probe import Late, Probe, answer_of


def test_while_an_answer_is_awaited_nobody_asks_again() -> None:
    asked, answered = [], threading.Event()

    def question() -> str:
        asked.append(threading.current_thread().daemon)
        answered.wait(10)
        return "yes"

    probe = Probe("a-question", question)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(Late):
            answer_of(probe.ask(), 0.01)
    assert time.monotonic() - began < 1
    assert asked == [True], "one daemon thread"
    awaited = probe.ask()
    answered.set()
    assert answer_of(awaited, 10) == "yes"
    assert answer_of(probe.ask(), 10) == "yes"
    assert len(asked) == 2


def test_what_the_question_raises_is_raised_where_the_answer_is_wanted() -> None:
    probe = Probe("a-question", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        answer_of(probe.ask(), 10)

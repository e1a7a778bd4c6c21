"""Ctrl-C is heard behind what must not be divided, once; and then it is what it was."""

import os
import signal
import threading

import pytest

from worker.interrupt import interruptible, undivided


def ctrl_c() -> None:
    """As the terminal sends it."""
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interruption_comes_behind_the_block() -> None:
    done = []

    def work() -> None:
        with undivided():
            ctrl_c()
            done.append("all")
        done.append("more")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["all"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_first_one_is_told_and_the_second_one_interrupts() -> None:
    told = []

    def work() -> None:
        with interruptible(lambda: told.append(1)):
            ctrl_c()
            assert told == [1]
            ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        work()
    assert told == [1]


def test_without_one_nothing_happens_and_another_thread_hears_of_none() -> None:
    with undivided():
        pass
    heard = []

    def work() -> None:
        with undivided():
            heard.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [signal.default_int_handler]

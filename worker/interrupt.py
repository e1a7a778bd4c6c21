"""Ctrl-C where an exception out of nowhere would do harm: what is being done is done first.

It would leave a statement half sent, and the connection good for nothing; or a process started that nobody knows.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(stop: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C only calls `stop`, a second one does what it always does. Other threads hear of none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    always = signal.getsignal(signal.SIGINT)

    def once(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, always)
        stop()

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, always)


@contextmanager
def undivided() -> Iterator[None]:
    """Ctrl-C interrupts behind the block, not within."""
    interrupted: list[bool] = []
    with interruptible(lambda: interrupted.append(True)):
        yield
    if interrupted:
        raise KeyboardInterrupt

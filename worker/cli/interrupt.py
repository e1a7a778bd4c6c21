"""Ctrl-C on a command that works in steps: the step that it is in is done, then it says how far it came.

An exception out of nowhere would leave a statement half sent, and the connection good for nothing.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(stop: Callable[[], object]) -> Iterator[None]:
    """The first Ctrl-C calls `stop`, a second one does what it always does."""
    always = signal.getsignal(signal.SIGINT)

    def once(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, always)
        stop()

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, always)

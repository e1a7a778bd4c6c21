"""A probe: a question to a service that may hang. It is asked in a thread of its own; whoever wants the answer waits
for a while, never longer.

One at a time: while an answer is awaited, whoever asks next waits for the same one. So a service that hangs for an hour
costs one thread and one connection, however often it is asked about. The thread keeps no process from ending.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """The service gave no answer in time."""


class Probe(Generic[T]):
    """Asks one question, again and again."""

    def __init__(self, name: str, question: Callable[[], T]) -> None:
        self._name, self._question = name, question
        self._awaited: Future[T] | None = None
        self._one_at_a_time = threading.Lock()

    def ask(self) -> Future[T]:
        """The answer to be, or the one that is awaited already."""
        with self._one_at_a_time:
            if self._awaited is None or self._awaited.done():
                self._awaited = Future()
                threading.Thread(target=self._run, args=(self._awaited,), name=self._name, daemon=True).start()
            return self._awaited

    def _run(self, answer: Future[T]) -> None:
        try:
            answer.set_result(self._question())
        except Exception as error:  # noqa: BLE001 - it is raised again where the answer is wanted
            answer.set_exception(error)


def answer_of(asked: Future[T], seconds: float) -> T:
    """The answer, or what the question has raised. Raises Late when there is neither within `seconds`."""
    if not wait([asked], max(0.0, seconds)).done:
        raise Late
    return asked.result()

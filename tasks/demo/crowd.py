"""The crowd: eight bots, each a process of its own, kept in step.

A barrier lets all of them begin a step together, so that what is meant to collide does collide, on any machine. The
processes come from a fork server that has loaded everything once. They leave Ctrl-C to us, and end with us, however we
end.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tasks.demo.intents import BOTS, Intent, intents
from worker.errors import OnelaneError

PATIENCE_SECONDS = 60.0
"""How long a bot waits for the others before it gives up."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a bot's person was told about one intent."""

    number: int
    answer: str
    code: str
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What one bot tells at the end. `refused` counts what it kept to itself, by constraint."""

    told: Sequence[Told]
    refused: dict[str, int]


@dataclass(frozen=True, slots=True)
class Post:
    """One bot's place in the crowd."""

    number: int
    seed: int
    rounds: int
    where: Any
    """Whatever the bot needs to reach its services."""
    together: Callable[[], object]
    """Waits until all eight are here."""
    handled: Callable[[], None]
    """Counts one intent for the progress bar."""

    def steps(self) -> list[tuple[Intent, int]]:
        """This bot's intents, one a step, each with the number of moments that its step has."""
        everything = intents(self.seed, self.rounds)
        moments: dict[int, int] = {}
        for intent in everything:
            moments[intent.step] = max(moments.get(intent.step, 0), intent.writes + 1)
        return [(intent, moments[intent.step]) for intent in everything if intent.bot == self.number]


Acting = Callable[[Post], Report]


class BotFailed(OnelaneError):
    """A bot of the demo has ended without a report."""


class Crowd:
    """Eight bots at work."""

    def __init__(self, act: Acting, seed: int, rounds: int, where: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tasks.demo.before", "tasks.demo.after"])
        self._counts: Any = context.RawArray("l", BOTS)
        self._barrier = context.Barrier(BOTS)
        self._pipes: list[Connection] = []
        self._reports: list[Report] = []
        self._processes = []
        for number in range(BOTS):
            ours, theirs = context.Pipe(duplex=False)
            place = (number, seed, rounds, where)
            process = context.Process(target=_live, args=(act, place, self._barrier, self._counts, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    @property
    def handled(self) -> int:
        """How many intents were handled so far."""
        return sum(self._counts)

    def done(self) -> bool:
        """Whether all have reported. Raises BotFailed when one has ended without."""
        for pipe in [pipe for pipe in self._pipes if pipe.poll()]:
            self._pipes.remove(pipe)
            try:
                report = pipe.recv()
            except EOFError:
                report = "it was killed"
            if isinstance(report, str):
                raise BotFailed(f"A bot of the demo has failed: {report}")
            if report is not None:
                self._reports.append(report)
        if not self._pipes and len(self._reports) < BOTS:
            raise BotFailed("The bots of the demo have waited in vain for each other; is the machine overloaded?")
        return not self._pipes

    def reports(self) -> list[Report]:
        """What they reported, once they are done."""
        return self._reports

    def stop(self) -> None:
        """End those that still run."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
            process.close()
        for pipe in self._pipes:
            pipe.close()


@contextmanager
def crowd(act: Acting, seed: int, rounds: int, where: Any) -> Iterator[Crowd]:
    """Eight bots that do what `act` does at their posts, until the block ends."""
    bots = Crowd(act, seed, rounds, where)
    try:
        yield bots
    finally:
        bots.stop()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _live(
    act: Acting, place: tuple[int, int, int, Any], barrier: threading.Barrier, counts: Any, pipe: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    number, seed, rounds, where = place

    def handled() -> None:
        counts[number] += 1

    post = Post(number, seed, rounds, where, lambda: barrier.wait(PATIENCE_SECONDS), handled)
    try:
        report: Report | str | None = act(post)
    except threading.BrokenBarrierError:
        report = None  # it is another one's fault
    except Exception as error:  # noqa: BLE001 - told to the parent, whatever it is
        barrier.abort()
        report = f"{type(error).__name__}: {error}"
    pipe.send(report)

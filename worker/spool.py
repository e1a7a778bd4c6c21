"""The spool: the enqueuer's local file of jobs while Redis can't be reached.

One JSON line for each order, appended and fsynced under a file lock before `enqueue` returns. While a line is in the
file, every process of this host appends behind it instead of passing it, so the order of enqueues holds; whoever gets
through to Redis sends the file first, in order, then empties it. A crash between sending and emptying sends twice,
which the script's idempotence by id makes harmless. A line that can never be queued is set aside in `spool.bad`, and
named in the log; the others go on.
"""

import fcntl
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic_core import from_json, to_json

from worker.enqueue import CHUNK, Order
from worker.envelope import decode
from worker.errors import Damaged, SpoolUnusable

WHY_UNUSABLE = {"damaged": "is damaged", "reused": "has the id of a job with another payload"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a spool holds: orders in order, the numbers of lines that are none, and how many lines were set aside."""

    orders: list[Order]
    damaged: list[int]
    set_aside: int


class Spool:
    """The spool file in one directory; safe for many processes of one host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = str(directory / "spool.jsonl")
        self.bad = directory / "spool.bad"
        """Where lines are kept that can never be queued."""

    def size(self) -> int:
        """How much waits in the file, in bytes. Costs one stat. Raises SpoolUnusable when nobody can tell."""
        try:
            return os.stat(self._file).st_size  # noqa: PTH116 - a Path takes twice the time, and each enqueue asks
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise self._unusable(error) from error

    def waiting(self) -> bool:
        """Whether jobs wait in the file. Raises SpoolUnusable when nobody can tell."""
        return self.size() > 0

    def append(self, orders: Sequence[Order]) -> None:
        """Keep orders, durably. Raises SpoolUnusable when they can't be."""
        lines = b"".join(to_json([o.id, o.lane, o.digest, b64encode(o.body).decode()]) + b"\n" for o in orders)
        with self._locked() as file:
            _append(file, lines)

    def flush(self, send: Callable[[list[Order]], list[str]]) -> dict[str, str]:
        """Send all orders in order, and empty the file when each has been taken; the word for each that was taken.

        What `send` raises leaves the file as it was. So does a full lane, and nothing behind it is sent, which could
        pass it: the orders before it are known by their ids when they are sent again. An order that can never be taken
        (its id is another job's) is set aside. Raises SpoolUnusable.
        """
        words: dict[str, str] = {}
        unusable: list[tuple[bytes, str]] = []
        with self._locked() as file:
            for page in _pages(self._lines(file)):
                orders = [order for _, _, order in page if order is not None]
                answers = iter(send(orders) if orders else ())
                for number, line, order in page:
                    word = "damaged" if order is None else next(answers)
                    if word in {"lane_full", "full"}:
                        return words
                    if order is not None:
                        words[order.id] = word
                    if word in WHY_UNUSABLE:
                        unusable.append((line, f"line {number} {WHY_UNUSABLE[word]}"))
            for line, why in unusable:
                self._set_aside(line, why)
            os.ftruncate(file, 0)
            os.fsync(file)
        return words

    def contents(self) -> Contents:
        """What is in the file now. Raises SpoolUnusable."""
        orders: list[Order] = []
        damaged: list[int] = []
        if self.waiting():
            with self._locked() as file:
                for number, line in self._lines(file):
                    order = _order(line)
                    if order is None:
                        damaged.append(number)
                    else:
                        orders.append(order)
        return Contents(orders, damaged, self.bad.read_bytes().count(b"\n") if self.bad.exists() else 0)

    def find(self, job_id: str) -> Order | None:
        """The order with this id, if it waits in the file."""
        return next((order for order in self.contents().orders if order.id == job_id), None)

    @staticmethod
    def _lines(file: int) -> Iterator[tuple[int, bytes]]:
        with os.fdopen(os.dup(file), "rb") as lines:
            lines.seek(0)
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())

    def _set_aside(self, line: bytes, why: str) -> None:
        log.error("A spooled job can't be queued: %s. It is kept in %s.", why, self.bad)
        with self.bad.open("ab") as bad:
            bad.write(line if line.endswith(b"\n") else line + b"\n")
            bad.flush()
            os.fsync(bad.fileno())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            file = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> SpoolUnusable:
        return SpoolUnusable(
            f"The spool in {self._directory} can't be used ({error.strerror}): mend that, or name another directory in "
            "ONELANE_DATA_DIR."
        )


def _append(file: int, lines: bytes) -> None:
    """Write whole lines, durably, or nothing."""
    end = os.lseek(file, 0, os.SEEK_END)
    try:
        if end and os.pread(file, 1, end - 1) != b"\n":
            lines = b"\n" + lines  # a writer was killed within its line; that line was never acknowledged
        _write_all(file, lines)
        os.fsync(file)
    except OSError:
        os.ftruncate(file, end)
        raise


def _pages(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes, Order | None]]]:
    """The lines with their orders, as many at a time as one script call takes."""
    while page := [(number, line, _order(line)) for number, line in islice(lines, CHUNK)]:
        yield page


def _order(line: bytes) -> Order | None:
    """The order of a line; None when it is damaged."""
    try:
        job_id, lane, digest, body = from_json(line)
        order = Order(job_id, lane, digest, b64decode(body, validate=True))
        envelope = decode(b'{"seq":0,' + order.body[1:])
    except (ValueError, TypeError, Damaged):
        return None
    return order if (envelope.id, envelope.lane, envelope.digest) == (job_id, lane, digest) else None


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]

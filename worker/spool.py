"""The spool: the enqueuer's local file of jobs while Redis can't be reached.

One JSON line for each order, appended and fsynced under a file lock before `enqueue` returns. While a line is in the
file, every process of this host appends behind it instead of passing it, so the order of enqueues holds; whoever gets
through to Redis sends the file first, in order, then empties it. A crash between sending and emptying sends twice,
which the script's idempotence by id makes harmless. A line that can never be queued is set aside in
`spool.bad`.
"""

import fcntl
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic_core import from_json, to_json

from worker.enqueue import Order

log = logging.getLogger(__name__)


class Spool:
    """The spool file in one directory; safe for many processes of one host."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "spool.jsonl"
        self._bad = directory / "spool.bad"

    def size(self) -> int:
        """How much waits in the file, in bytes. Costs one stat."""
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return 0

    def waiting(self) -> bool:
        """Whether jobs wait in the file."""
        return self.size() > 0

    def append(self, orders: Sequence[Order]) -> None:
        """Keep orders, durably. Raises OSError when they can't be."""
        lines = b"".join(to_json([o.id, o.lane, o.digest, b64encode(o.body).decode()]) + b"\n" for o in orders)
        with self._locked() as file:
            end = os.lseek(file, 0, os.SEEK_END)
            try:
                if end and os.pread(file, 1, end - 1) != b"\n":
                    lines = b"\n" + lines  # a writer was killed within its line; that line was never acknowledged
                _write_all(file, lines)
                os.fsync(file)
            except OSError:
                os.ftruncate(file, end)
                raise

    def flush(self, send: Callable[[list[Order]], list[str]]) -> dict[str, str]:
        """Send all orders in order, and empty the file when each has been taken; the word for each job id.

        What `send` raises leaves the file as it was. So does a full lane: the orders before it are known by their ids
        when they are sent again. An order that can never be taken (its id is another job's) is set aside.
        """
        with self._locked() as file:
            lines = self._lines(file)
            orders = [found for line in lines if (found := _order(line)) is not None]
            words = dict(zip((o.id for o in orders), send(orders), strict=True)) if orders else {}
            if not any(word in {"lane_full", "full"} for word in words.values()):
                for line in lines:
                    found = _order(line)
                    if found is None or words[found.id] == "reused":
                        self._set_aside(line)
                os.ftruncate(file, 0)
                os.fsync(file)
            return words

    def find(self, job_id: str) -> Order | None:
        """The order with this id, if it waits in the file."""
        if not self.waiting():
            return None
        with self._locked() as file:
            orders = (_order(line) for line in self._lines(file))
            return next((order for order in orders if order is not None and order.id == job_id), None)

    @staticmethod
    def _lines(file: int) -> list[bytes]:
        with os.fdopen(os.dup(file), "rb") as lines:
            lines.seek(0)
            return [line for line in lines if line.strip()]

    def _set_aside(self, line: bytes) -> None:
        log.error("A spooled job can't be queued; its line is kept in %s.", self._bad)
        with self._bad.open("ab") as bad:
            bad.write(line if line.endswith(b"\n") else line + b"\n")
            bad.flush()
            os.fsync(bad.fileno())

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _order(line: bytes) -> Order | None:
    try:
        job_id, lane, digest, body = from_json(line)
        return Order(str(job_id), str(lane), str(digest), b64decode(body, validate=True))
    except (ValueError, TypeError):
        return None


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]

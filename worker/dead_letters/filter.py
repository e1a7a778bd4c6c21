"""One filter for all that can be done with dead letters, and the order in which they are found.

The order is the order of a replay: by number, the partition's one clock. So the jobs of a lane stand as they were
enqueued, lanes stand by age, and what `list` shows first is what `replay` sends first. `limit` counts in this order.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection

from worker.dead_letters.acts import is_text
from worker.errors import Refused
from worker.query import query

CHUNK = 1000
"""Dead letters that are handled in one transaction."""


@dataclass(frozen=True)
class Filter:
    """Which dead letters are meant: those that fulfil each condition; a condition that is None is none.

    `error` is the name of an error class. `text` is sought in the error's message, in any case of letters, and in the
    job's bytes. Ages are counted from when the job died.
    """

    ids: tuple[str, ...] = ()
    lane: str | None = None
    kind: str | None = None
    code: str | None = None
    error: str | None = None
    sqlstate: str | None = None
    text: str | None = None
    older_than_seconds: float | None = None
    newer_than_seconds: float | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        """Raise Refused, naming the condition that no job can fulfil."""
        for name, value in [*asdict(self).items(), *(("id", each) for each in self.ids)]:
            if isinstance(value, str) and not (value and is_text(value)):
                raise Refused(f"{name}: {value!r} is no value to look for")
        if self.limit is not None and self.limit < 1:
            raise Refused(f"limit: expected 1 or more, got {self.limit}")

    @property
    def is_everything(self) -> bool:
        """Whether there is no condition: all dead letters are meant."""
        return self == Filter(limit=self.limit)

    def chunks(self, connection: Connection, size: int = CHUNK) -> Iterator[list[str]]:
        """The ids that are found, in order, `size` at a time; each chunk is looked for when it is asked for."""
        after, left = (-1, ""), self.limit
        while left is None or left > 0:
            found = self._after(connection, after, size if left is None else min(size, left))
            if not found:
                return
            yield [job_id for _, job_id in found]
            after = found[-1]
            left = None if left is None else left - len(found)

    def _after(self, connection: Connection, after: tuple[int, str], limit: int) -> list[tuple[int, str]]:
        seq, job_id = after
        values: dict[str, Any] = {
            **asdict(self),
            "ids": list(self.ids) or None,
            "older": self.older_than_seconds,
            "newer": self.newer_than_seconds,
            "after_seq": seq,
            "after_id": job_id,
            "limit": limit,
        }
        rows = connection.execute(query("dead_found"), values, prepare=False)
        return [(seq, job_id) for job_id, seq in rows]

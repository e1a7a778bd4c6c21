"""One filter for all that can be done with dead letters, and the order in which they are found.

The order is the order of a replay: by number, the partition's one clock. So the jobs of a lane stand as they were
enqueued, lanes stand by age, and what `list` shows first is what `replay` sends first. `limit` counts in this order.
"""

from collections.abc import Callable, Iterator
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
    job's bytes. Ages are counted from when the job died. `replaying` means those on their way back instead; they are
    found by id too.
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
    replaying: bool = False
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

    def chunks(self, connection: Connection, size: Callable[[], int] = lambda: CHUNK) -> Iterator[list[str]]:
        """The ids that are found, in order, `size()` at a time; each chunk is looked for when it is asked for."""
        after, left = (-1, ""), self.limit
        while left is None or left > 0:
            values = self.values(after=after, limit=size() if left is None else min(size(), left))
            found = connection.execute(query("dead_found"), values, prepare=False).fetchall()
            if not found:
                return
            yield [row[0] for row in found]
            after = (found[-1][1], found[-1][0])
            left = None if left is None else left - len(found)

    def values(self, *, after: tuple[int, str] = (-1, ""), limit: int | None = None) -> dict[str, Any]:
        """What dead_found.sql takes: the conditions, the last number and id that were seen, and how many more."""
        return {
            **asdict(self),
            "ids": list(self.ids) or None,
            "older": self.older_than_seconds,
            "newer": self.newer_than_seconds,
            "after_seq": after[0],
            "after_id": after[1],
            "limit": limit,
        }

"""An outcome: what became of a job, for the person who asked and for the program that waits."""

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from pydantic_core import from_json, to_json

Status = Literal["applied", "unchanged", "rejected", "dead", "cancelled"]
STATUSES: frozenset[str] = frozenset(get_args(Status))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended.

    `applied` it changed something; `unchanged` there was nothing to change; `rejected` a business no, told to the
    person; `dead` it needs an operator; `cancelled` an operator took it out. `code` is for programs, `message` for
    people; `before` and `after` are the row, as a JSON object, around the change.
    """

    status: Status
    code: str
    message: str
    before: Any = None
    after: Any = None

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The outcome that `packed` made."""
        fields: dict[str, Any] = from_json(raw.partition(b" ")[2])
        return cls(**fields)


def packed(digest: str, status: str, code: str, message: str, before: str | None, after: str | None) -> bytes:
    """An outcome for Redis: the job's digest (enqueue.lua compares it), a blank, JSON. Rows are JSON texts already."""
    head = to_json({"status": status, "code": code, "message": message})
    rows = f',"before":{before or "null"},"after":{after or "null"}}}'
    return b"%s %s%s" % (digest.encode(), head[:-1], rows.encode())

"""A lane as people see it: in which state it is at one moment, what it waits for, and why it stands still."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic_core import from_json

from worker.envelope import envelope_of
from worker.head import HeadMemory

State = Literal["claimed", "held", "parked", "ready", "unlisted"]


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a lane stands still, by whom, since and until when; `until` None: until it is resumed."""

    why: str
    by: str | None
    since: datetime | None
    until: datetime | None

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """The hold that hold.lua wrote. A note that is none of ours, put there by hand, is the reason as it stands."""
        ends, _, note = raw.decode(errors="replace").partition(" ")
        until = moment(float(ends)) if ends.isdecimal() and int(ends) else None
        try:
            found = from_json(note)
            return cls(str(found["why"]), str(found["by"]), moment(found["at"] * 1_000_000), until)
        except (ValueError, TypeError, KeyError):
            return cls(note, None, None, until)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane at one moment. `unlisted`: it was filled by hand, and no worker comes before the next enqueue."""

    name: str
    state: State
    jobs: int
    due: datetime | None
    """From when it may be claimed: in the future for a parked lane, and for a held one with an end."""
    attempts: int
    """Failed attempts of its head."""
    first_attempt: datetime | None
    error: str | None
    """What it failed of last."""
    crashes: int
    """Workers that died under its head."""
    hold: Hold | None
    lease_end: datetime | None
    token: int | None
    head: bytes | None

    @property
    def head_since(self) -> datetime | None:
        """When its next job was enqueued; None when there is none, or its bytes are no envelope."""
        envelope = envelope_of(self.head) if self.head is not None else None
        return envelope.enqueued_at if envelope is not None else None

    @classmethod
    def read(cls, now: int, name: str, found: Sequence[Any]) -> Self | None:
        """The lane that the lane book has found; `now` in µs. None when nothing waits in it."""
        jobs, head, ready, lease, claim, held, memory, crashes = found
        state: State
        if lease is not None:
            state = "claimed"
        elif held is not None:
            state = "held"
        elif ready is not None:
            state = "parked" if ready > now else "ready"
        elif jobs:
            state = "unlisted"
        else:
            return None
        remembered = HeadMemory.read(memory)
        return cls(
            name,
            state,
            jobs,
            due=moment(ready) if ready is not None else None,
            attempts=remembered.attempts,
            first_attempt=moment(remembered.first_attempt) if remembered.first_attempt is not None else None,
            error=remembered.error,
            crashes=int(crashes or 0),
            hold=Hold.read(held) if held is not None else None,
            lease_end=moment(lease) if lease is not None else None,
            token=int(claim.partition(b":")[0]) if claim is not None else None,
            head=head,
        )


def moment(micros: float) -> datetime:
    """The time of a number of µs since 1970, UTC."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)

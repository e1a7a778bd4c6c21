"""What a lane remembers of its head: how often it has failed, when first, and of what last.

    3 1795621043980758 LockNotAvailable (SQLSTATE 55P03): canceling statement due to lock timeout

It stands in the hash `attempts` and goes with the head. Whoever claims the lane goes on counting from it; the error is
for people, and is cut.
"""

from dataclasses import dataclass
from typing import Self

ERROR_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class HeadMemory:
    """The memory of one head; of one that has not failed nothing is remembered."""

    attempts: int = 0
    first_attempt: int | None = None
    """When it failed first, µs."""
    error: str | None = None
    """What it failed of last."""

    @classmethod
    def read(cls, raw: bytes | None) -> Self:
        """The memory that these bytes are."""
        attempts, _, rest = (raw or b"").decode(errors="replace").partition(" ")
        first, _, error = rest.partition(" ")
        return cls(int(attempts or 0), int(first) if first else None, error or None)

    def __str__(self) -> str:
        """How it is written down."""
        return f"{self.attempts} {self.first_attempt} {(self.error or '')[:ERROR_CHARACTERS]}".rstrip()

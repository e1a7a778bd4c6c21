"""When to try again: pure functions of the attempt, expressed by tenacity's wait strategies.

Exponential backoff with full jitter, capped: many lanes that failed together don't come back together. The lane is the
memory (its `attempts` in Redis), so a retry survives every restart.
"""

import random
from types import SimpleNamespace
from typing import Any

from tenacity import wait_random_exponential

from worker.settings import Settings


def backoff_ms(attempt: int, settings: Settings) -> int:
    """How long to park a lane whose head failed for the `attempt`-th time (from 1), in ms; random up to the bound."""
    wait = wait_random_exponential(multiplier=settings.backoff_base_ms, max=settings.backoff_cap_ms)
    state: Any = SimpleNamespace(attempt_number=attempt)
    return max(1, round(wait(state)))


def reconnect_seconds(attempt: int) -> float:
    """How long to wait before the `attempt`-th reconnection (from 1), in s; jittered, at most 2 s."""
    return random.uniform(0.5, 1.0) * min(2.0, 0.05 * 2.0 ** min(attempt, 10))  # noqa: S311 - spreads load, no secret

"""When to try again, expressed by tenacity's strategies.

Exponential backoff with full jitter, capped: many lanes that failed together don't come back together. The lane is the
memory (its `attempts` in Redis), so a retry survives every restart.
"""

import random
from types import SimpleNamespace
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from worker.settings import Settings


def backoff_ms(attempt: int, settings: Settings) -> int:
    """How long to park a lane whose head failed for the `attempt`-th time (from 1), in ms; random up to the bound."""
    wait = wait_random_exponential(multiplier=settings.backoff_base_ms, max=settings.backoff_cap_ms)
    state: Any = SimpleNamespace(attempt_number=attempt)
    return max(1, round(wait(state)))


def while_redis_is_away(seconds: float) -> Retrying:
    """Repeats a call that Redis did not answer, for so long; then raises what it met last."""
    return Retrying(
        retry=retry_if_exception_type((RedisConnectionError, RedisTimeoutError)),
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        reraise=True,
    )


def reconnect_seconds(attempt: int) -> float:
    """How long to wait before the `attempt`-th reconnection (from 1), in s; jittered, at most 2 s."""
    return random.uniform(0.5, 1.0) * min(2.0, 0.05 * 2.0 ** min(attempt, 10))  # noqa: S311 - spreads load, no secret

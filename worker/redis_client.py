"""The one Redis client of a process, with limits on how long anything may take.

redis-py repeats a command whose reply was lost; every script of ours may be repeated, so a few quick retries are safe.
"""

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from worker.errors import ConfigurationError
from worker.settings import Settings

REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError)
"""What passes by itself, or when an operator has made room."""

RETRIES = 2
SHORTEST_BLOCK_SECONDS = 0.002
FORBIDDEN_IN_SCRIPT = ("ACL failure in script", "can't run this command or subcommand", "can't access at least one of")
"""What Redis says when a script's user lacks a permission: from 7.0, and before."""


def redis_client(settings: Settings, *, alone: bool = False) -> Redis:
    """A client for the lanes' Redis; it connects on first use. Raises ConfigurationError when the URL is none.

    For who is `alone`, one thread, it holds a single connection, and a command costs a fifth less CPU; it connects at
    once, and raises redis.RedisError.
    """
    try:
        return Redis.from_url(
            settings.require_redis(),
            socket_timeout=settings.redis_timeout_ms / 1000,
            socket_connect_timeout=settings.connect_timeout_seconds,
            health_check_interval=30,
            single_connection_client=alone,
            retry=Retry(ExponentialWithJitterBackoff(cap=0.2, base=0.01), RETRIES),
        )
    except ValueError:  # what it says may hold a piece of the password
        raise ConfigurationError(
            "ONELANE_REDIS_URL is not a Redis URL; expected redis://user:password@host:port/number (or rediss://, "
            "unix://), with / and @ in a password written as %2F and %40."
        ) from None


def block_seconds(wait_seconds: float, settings: Settings) -> float:
    """How long one command may block in Redis: well within the time-out of a command, and never for 1 ms or less,
    which Redis before 7.0 takes for "for ever".
    """
    return max(SHORTEST_BLOCK_SECONDS, min(wait_seconds, settings.redis_timeout_ms / 2000))


def misconfigured(error: RedisError) -> ConfigurationError | None:
    """The sentence about an error that no waiting mends, without passwords; None for any other."""
    said = str(error)
    if isinstance(error, AuthenticationError | AuthorizationError):
        return ConfigurationError("Redis refuses the user or password in ONELANE_REDIS_URL.")
    if isinstance(error, NoPermissionError) or any(words in said for words in FORBIDDEN_IN_SCRIPT):
        return ConfigurationError(f"Redis forbids the user in ONELANE_REDIS_URL what Onelane needs to do: {said}.")
    if isinstance(error, ResponseError) and "DB index is out of range" in said:
        return ConfigurationError("Redis has no database of the number that is in ONELANE_REDIS_URL.")
    return None


def require_usable(redis: Redis) -> None:
    """Raise ConfigurationError, in a sentence without passwords, unless Redis answers and never evicts keys."""
    try:
        policy = redis.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
    except NoPermissionError:
        return  # a managed Redis may hide its configuration; then its operator answers for it
    except RedisError as error:
        if (wrong := misconfigured(error)) is not None:
            raise wrong from None
        where = redis.connection_pool.connection_kwargs
        place = where.get("path") or f"{where.get('host')}:{where.get('port')}"
        raise ConfigurationError(
            f"Redis at {place} can't be reached ({type(error).__name__}); is it running?"
        ) from None
    if policy != "noeviction":
        raise ConfigurationError(
            f"Redis would evict jobs when its memory is full (maxmemory-policy is {policy}): "
            "run `redis-cli config set maxmemory-policy noeviction`, and set it in redis.conf."
        )

"""All settings of the engine, read from `ONELANE_…` variables; docs/settings.md is made from this file.

Durations say their unit in the name. Where no URL is set, the services of a running `onelane up` in this
directory are found through the file that it leaves there (`SERVICES_FILE`).
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.errors import ConfigurationError

SERVICES_FILE = "services.json"


class Settings(BaseSettings):
    """What a process needs to know; immutable, made once by `Settings.load()`."""

    model_config = SettingsConfigDict(env_prefix="ONELANE_", frozen=True, extra="forbid")

    redis_url: str = Field("", description="Redis of the lanes, for example redis://localhost:6379/0")
    database_url: str = Field("", description="PostgreSQL, for example postgresql://user@localhost/bot")
    broker_url: str = Field("", description="Celery's broker; the lanes' Redis unless set")
    data_dir: Path = Field(Path(".onelane"), description="where `onelane up` keeps its services, and the spool lives")
    tasks: str = Field("tasks", description="modules that declare job kinds, separated by commas")
    prefix: str = Field("onelane", pattern=r"^[A-Za-z0-9_.-]{1,40}$", description="prefix of all Redis keys")
    effects_stream: str = Field("onelane:effects", pattern=r"^\S+$", description="Redis stream of effects for the bot")
    effects_limit: int = Field(100_000, ge=1, description="effects kept in the stream, about")

    lane_limit: int = Field(200_000, ge=1, description="jobs that one lane may hold")
    total_limit: int = Field(5_000_000, ge=1, description="jobs that all lanes together may hold")
    payload_limit: int = Field(64 * 1024, ge=256, description="size of one job's envelope, bytes")
    outcome_seconds: int = Field(600, ge=1, description="how long `wait` finds an outcome after the job's end, s")

    claim_lanes: int = Field(100, ge=1, description="lanes that one claim takes")
    claim_jobs: int = Field(2000, ge=1, le=5000, description="jobs that one claim takes over all its lanes, about")
    lease_ms: int = Field(15_000, ge=100, description="after this a claim may be taken over, ms")
    slice_ms: int = Field(5_000, ge=10, description="a drain ends after this even if work is left, ms")
    linger_ms: int = Field(1_000, ge=1, description="how long a drain that found nothing waits for more, ms")
    task_time_limit_seconds: int = Field(300, ge=5, description="Celery kills a drain that takes longer, s")

    statement_timeout_ms: int = Field(10_000, ge=10, description="PostgreSQL's statement_timeout of a worker, ms")
    lock_timeout_ms: int = Field(2_000, ge=10, description="PostgreSQL's lock_timeout of a worker, ms")
    connect_timeout_seconds: int = Field(3, ge=1, description="for connecting to Redis or PostgreSQL, s")
    redis_timeout_ms: int = Field(2_000, ge=10, description="for one Redis command, ms")

    max_attempts: int = Field(8, ge=1, description="attempts before a transient error becomes a dead letter")
    order_attempts: int = Field(4, ge=1, description="attempts of a job that waits for another lane's job")
    max_deliveries: int = Field(4, ge=1, description="workers that may die under one job before it is dead")
    backoff_base_ms: int = Field(200, ge=1, description="first backoff, doubled for each attempt, ms")
    backoff_cap_ms: int = Field(60_000, ge=1, description="longest backoff, ms")

    alert_urls: str = Field("", description="who is told of incidents: apprise URLs, separated by blanks")
    oldest_seconds: int = Field(60, ge=1, description="a ready lane that waits longer than this is worth a look, s")

    mask_key: str = Field(
        "",
        pattern="^(.{16,})?$",
        description="a secret, the same for all workers; with it Flower shows pseudonyms for what may be personal",
    )

    log_level: str = Field(
        "INFO", pattern="^(?i:DEBUG|INFO|WARNING|ERROR|CRITICAL)$", description="log level of workers and commands"
    )

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; fill missing URLs from a running `onelane up` in `data_dir`.

        Raises ConfigurationError that names the variable and what was expected.
        """
        try:
            settings = cls(**overrides)
        except ValidationError as error:
            problems = "; ".join(f"ONELANE_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
            raise ConfigurationError(f"A setting is not as it must be. {problems}") from None
        found = settings.running_services()
        urls = {name: getattr(settings, name) or found.get(name, "") for name in ("redis_url", "database_url")}
        return settings.model_copy(update=urls)

    def running_services(self) -> dict[str, str]:
        """The URLs that a running `onelane up` wrote into `data_dir`; empty when none runs."""
        try:
            found = json.loads((self.data_dir / SERVICES_FILE).read_text())
            os.kill(int(found["pid"]), 0)
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return {}
        return {name: str(found[name]) for name in ("redis_url", "database_url") if found.get(name)}

    @property
    def broker(self) -> str:
        """The broker's URL as Celery wants it (Celery says `redis+socket://` where redis-py says `unix://`)."""
        url = self.broker_url or self.require_redis()
        return url.replace("unix://", "redis+socket://", 1)

    def require_redis(self) -> str:
        """The Redis URL. Raises ConfigurationError when there is none."""
        return self._require("redis_url", "Redis")

    def require_database(self) -> str:
        """The PostgreSQL URL. Raises ConfigurationError when there is none."""
        return self._require("database_url", "PostgreSQL")

    def _require(self, name: str, service: str) -> str:
        url: str = getattr(self, name)
        if not url:
            raise ConfigurationError(
                f"No {service} is configured: set ONELANE_{name.upper()}, or run `onelane up` in this directory."
            )
        return url

    @property
    def task_modules(self) -> list[str]:
        """The modules that declare job kinds."""
        return [name.strip() for name in self.tasks.split(",") if name.strip()]

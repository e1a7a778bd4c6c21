"""The domain's settings, read from `TRIAGE_…` variables."""

import zoneinfo
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis import ConnectionPool

from tasks.values import Role, SlackId
from worker.errors import ConfigurationError

FILE_OF = {"users": "disciplines", "sprints": "sprints", "overrides": "overrides", "state": "currentState"}
"""Which of the bot's JSON files mirrors which table."""


class TriageSettings(BaseSettings):
    """What the rotation needs to know beside its tables."""

    model_config = SettingsConfigDict(env_prefix="TRIAGE_", frozen=True, extra="forbid")

    time_zone: str = Field("America/Los_Angeles", description="where days begin, and sprints change at 08:00")
    fallback_users: dict[Role, SlackId] = Field(
        default_factory=dict, description='who is on duty for a role whose list is empty, as JSON: {"po": "U…"}'
    )
    staging: bool = Field(False, description="no fallback users, and disciplines.staging.json is imported")  # noqa: FBT003 - a default
    mirror_dir: Path | None = Field(None, description="where the bot's JSON files are mirrored; off unless set")
    cache_prefix: str = Field(
        "", description="prefix of the bot's cache keys, for example t1triage:prod: ; none are deleted unless set"
    )
    cache_redis_url: str = Field(
        "", repr=False, description="the Redis of the bot's cache; the lanes' Redis unless set"
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in zoneinfo.available_timezones():
            raise ValueError("expected a time zone such as America/Los_Angeles")
        return value

    @field_validator("cache_prefix")
    @classmethod
    def _ends_with_a_colon(cls, value: str) -> str:
        if value and not value.endswith(":"):
            raise ValueError("expected a prefix that ends with a colon, such as t1triage:prod:")
        return value

    @field_validator("cache_redis_url")
    @classmethod
    def _redis_url(cls, value: str) -> str:
        try:
            if value:
                ConnectionPool.from_url(value)
        except ValueError:  # what it says may hold a piece of the password
            raise ValueError("expected a Redis URL, such as redis://localhost:6379/0") from None
        return value

    @property
    def context(self) -> dict[str, Any]:
        """What the statements are told."""
        fallback = {} if self.staging else self.fallback_users
        return {"time_zone": self.time_zone, "fallback": fallback, "copies": self.copies}

    @property
    def copies(self) -> dict[str, list[dict[str, Any]]]:
        """The jobs that follow a change of a table: they keep the copies of it up to date."""
        return {table: [*self._exports(file), *self._drops(table)] for table, file in FILE_OF.items()}

    def _exports(self, file: str) -> list[dict[str, Any]]:
        return [{"kind": "export.json", "payload": {"file": file}}] if self.mirror_dir is not None else []

    def _drops(self, table: str) -> list[dict[str, Any]]:
        return [{"kind": "caches.drop", "payload": {"table": table}}] if self.cache_prefix else []


@cache
def triage_settings() -> TriageSettings:
    """The settings of this process. Raises ConfigurationError that names the variable and what was expected."""
    try:
        return TriageSettings()
    except ValidationError as error:
        problems = "; ".join(f"TRIAGE_{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"A setting is not as it must be. {problems}") from None

"""What all jobs of the domain have in common."""

from abc import ABC
from typing import Any

from pydantic import ConfigDict

from tasks.settings import triage_settings
from worker import Job


class TriageJob(Job, ABC):
    """A job of the Triage Rotation Bot: strict values, and the domain's settings as its context."""

    model_config = ConfigDict(strict=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    @classmethod
    def context(cls) -> dict[str, Any]:
        """Time zone, fallback users, and whether the JSON files are mirrored."""
        return triage_settings().context

"""The jobs that change sprints. They share one lane, since an appended sprint needs the last index; there are few."""

from collections import Counter
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tasks.triage_job import TriageJob
from tasks.values import Day, SprintIndex, SprintName, wrong

LANE = "sprints"
IMPORT_LIMIT = 500


class Sprint(BaseModel):
    """A name and days; the last day belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sprint_name: SprintName
    start_date: Day
    end_date: Day

    @field_validator("end_date")
    @classmethod
    def _ends_after_it_starts(cls, value: date, info: ValidationInfo) -> date:
        start = info.data.get("start_date")
        if start is not None and value <= start:
            raise wrong(f"a day after start_date ({start}), got {value}")
        return value


class NumberedSprint(Sprint):
    """A sprint and its place."""

    sprint_index: SprintIndex


class UpsertSprint(TriageJob, NumberedSprint, kind="sprint.upsert"):
    """The sprint of an index has this name and these days."""

    messages = {
        "added": "*{sprint_name}* runs from {start_date} to {end_date} (sprint {sprint_index}).{warning}",
        "updated": "*{sprint_name}* now runs from {start_date} to {end_date} (sprint {sprint_index}).{warning}",
        "already_so": "*{sprint_name}* runs from {start_date} to {end_date} already.{warning}",
    }

    def lane(self) -> str:
        """The lane of all sprints."""
        return LANE


class AppendSprint(TriageJob, Sprint, kind="sprint.append"):
    """A sprint comes after the last; it gets its index in the lane."""

    messages = {
        "appended": "Added *{sprint_name}* as sprint {sprint_index}, from {start_date} to {end_date}.{warning}",
        "already_there": "*{sprint_name}* from {start_date} to {end_date} is there already, as sprint {sprint_index}.",
    }

    def lane(self) -> str:
        """The lane of all sprints."""
        return LANE


class ImportSprints(TriageJob, kind="sprint.import"):
    """Many sprints at once, all or none."""

    sprints: Annotated[tuple[NumberedSprint, ...], Field(min_length=1, max_length=IMPORT_LIMIT, strict=False)]
    messages = {
        "imported": "Imported {rows} sprints: {added} added, {updated} updated.",
        "already_so": "All {rows} sprints are there already.",
        "gap": "No sprint was imported: there is no sprint {gap}, and indices must have no gap.",
    }

    @field_validator("sprints")
    @classmethod
    def _each_index_once(cls, value: tuple[NumberedSprint, ...]) -> tuple[NumberedSprint, ...]:
        (index, times), *_ = Counter(sprint.sprint_index for sprint in value).most_common(1)
        if times > 1:
            raise wrong(f"each sprint_index once, got {index} {times} times")
        return value

    def lane(self) -> str:
        """The lane of all sprints."""
        return LANE

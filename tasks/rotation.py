"""The jobs of the rotation: who is on duty now. There is one state, so there is one lane.

They read people, sprints and overrides of other lanes, each in one statement, so in one snapshot. Whatever changes
those leaves one of these jobs in the outbox with its commit; it starts after that commit, hence the last one sees all
changes. The rules of who is on duty are functions of the database (tasks/migrations/0010_rotation.sql).
"""

from abc import ABC
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tasks.triage_job import TriageJob
from tasks.values import Day, Role, Roles, SlackId, SprintIndex


class RotationJob(TriageJob, ABC):
    """A change of who is on duty."""

    def lane(self) -> str:
        """The lane of the one state."""
        return "rotation"


class RefreshRotation(RotationJob, kind="rotation.refresh"):
    """The state follows the calendar; enqueued each morning, and whenever somebody looks."""

    merge = True
    messages = {
        "changed": "*{sprint}* has begun; the people on duty have been told.",
        "up_to_date": "*{sprint}* is still the current sprint.",
        "no_current_sprint": "No sprint runs today; the rotation stays as it is.",
    }


class RecomputeRotation(RotationJob, kind="rotation.recompute"):
    """Some roles of a sprint are computed anew, if it is still the current one."""

    sprint_index: SprintIndex
    roles: Roles
    merge = True
    messages = {
        "changed": "The people on duty in *{sprint}* have changed and been told.",
        "up_to_date": "The people on duty in *{sprint}* stay the same.",
        "stale": "*{sprint}* is not the current sprint; the people on duty now stay the same.",
    }


class RoleChange(BaseModel):
    """Who leaves a role, as the admin saw it, and who takes it; None is nobody."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, serialize_by_alias=True, validate_by_name=True, validate_by_alias=True
    )

    holder: SlackId | None = Field(alias="from")
    to: SlackId | None


class SetRoles(RotationJob, kind="rotation.set_roles"):
    """An admin puts people into roles: each change is made only if the role is held by whom the admin saw."""

    expected_sprint_index: SprintIndex
    roles: Annotated[dict[Role, RoleChange], Field(min_length=1)]
    messages = {
        "set": "The people on duty in *{sprint}* have changed and been told.",
        "already_so": "The people on duty in *{sprint}* are these already.",
        "stale_sprint": "Nothing was changed: *{sprint}* is not the current sprint any more, that is {current}.",
        "role_conflict": "Nothing was changed: {role_title} is held by {holder} meanwhile. Open the form again.",
    }


class TransitionRotation(RotationJob, kind="rotation.transition"):
    """An admin puts the state onto a sprint, whatever the calendar says. A dry run has no effect at all."""

    sprint_index: SprintIndex
    dry_run: bool = False
    messages = {
        "changed": "The rotation is now on *{sprint}*: {people}.",
        "already_so": "The rotation is on *{sprint}* already: {people}.",
        "would_change": "The rotation would go to *{sprint}*: {people}.",
        "unknown_sprint": "There is no sprint {sprint_index}.",
    }


class RemindRotation(RotationJob, kind="rotation.remind"):
    """On the last day of a sprint, those on duty and those who come next are reminded; once for each day."""

    date: Day
    messages = {
        "reminded": "The people of *{sprint}* and *{next}* have been reminded.",
        "already_reminded": "The people of *{sprint}* and *{next}* were reminded already.",
        "nothing_ends": "No sprint hands over on {date}; nobody was reminded.",
    }

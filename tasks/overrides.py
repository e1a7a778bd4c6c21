"""The jobs of coverage overrides: somebody asks that another person covers a role in a sprint; an admin decides.

The lane is the seat, sprint and role: requests that compete for it are decided one after the other. A request is known
by the sprint, the role, who asked and who shall cover.
"""

from abc import ABC
from typing import Self

from pydantic import model_validator

from tasks.triage_job import TriageJob
from tasks.values import Instant, PersonName, Role, RowId, SlackId, SprintIndex, wrong


class OverrideJob(TriageJob, ABC):
    """A change of one request."""

    sprint_index: SprintIndex
    role: Role
    requested_by: SlackId
    replacement_slack_id: SlackId

    def lane(self) -> str:
        """The seat's lane."""
        return f"override:{self.sprint_index}:{self.role}"


class RequestOverride(OverrideJob, kind="override.request"):
    """Somebody asks for a cover, for `original_slack_id` or for themselves. `requested_at` None: now."""

    replacement_name: PersonName | None = None
    original_slack_id: SlackId | None = None
    requested_at: Instant | None = None
    messages = {
        "created": "You asked <@{replacement_slack_id}> to cover {role_title} in {sprint}; the admins have been told.",
        "already_pending": (
            "You already asked <@{replacement_slack_id}> to cover {role_title} in {sprint}; it is waiting for approval."
        ),
        "already_approved": (
            "You already asked <@{replacement_slack_id}> to cover {role_title} in {sprint}; it is approved."
        ),
        "unknown_sprint": "There is no sprint {sprint_index}, so nobody can cover {role_title} in it.",
    }

    @model_validator(mode="after")
    def _by_another(self) -> Self:
        if self.replacement_slack_id == (self.original_slack_id or self.requested_by):
            raise wrong("replacement_slack_id to be another person than the one to be covered")
        return self


class ApproveOverride(OverrideJob, kind="override.approve"):
    """An admin approves a request. `approved_at` None: now."""

    approved_by: SlackId
    approved_at: Instant | None = None
    messages = {
        "approved": "Approved: <@{replacement_slack_id}> covers {role_title} in {sprint} for <@{requested_by}>.{but}",
        "already_approved": (
            "<@{first_approver}> has approved this already: "
            "<@{replacement_slack_id}> covers {role_title} in {sprint} for <@{requested_by}>.{but}"
        ),
        "not_found": (
            "There is no request of <@{requested_by}> that <@{replacement_slack_id}> covers {role_title} in {sprint}; "
            "it was declined or removed."
        ),
    }


class DeclineOverride(OverrideJob, kind="override.decline"):
    """An admin declines a request that is not approved."""

    declined_by: SlackId
    messages = {
        "declined": "Declined: <@{replacement_slack_id}> won't cover {role_title} in {sprint} for <@{requested_by}>.",
        "already_approved": (
            "Too late to decline: <@{approver}> has approved that <@{replacement_slack_id}> covers {role_title} "
            "in {sprint}. Remove it instead."
        ),
        "missing": (
            "There is no request of <@{requested_by}> that <@{replacement_slack_id}> covers {role_title} in {sprint} "
            "any more."
        ),
    }


class RemoveOverride(OverrideJob, kind="override.remove"):
    """An admin takes a request away, approved or not; `id` and the rest must be one row."""

    id: RowId
    messages = {
        "removed": "Removed: <@{replacement_slack_id}> won't cover {role_title} in {sprint} for <@{requested_by}>.",
        "missing": "This request is gone already: <@{replacement_slack_id}> covering {role_title} in {sprint}.",
        "mismatch": "The list has changed since you saw it, so nothing was removed. Open it again.",
    }

"""The jobs that change people: one lane for each person, so two changes of one person never meet.

A change of people does not change who is on duty now; it counts from the next time the rotation is computed.
"""

from abc import ABC

from pydantic import Field

from tasks.triage_job import TriageJob
from tasks.values import PersonName, Role, Roles, SlackId

UNKNOWN = "<@{slack_id}> is in no discipline; add them first."


class UserJob(TriageJob, ABC):
    """A change of one person."""

    slack_id: SlackId

    def lane(self) -> str:
        """The person's lane."""
        return f"user:{self.slack_id}"


class UpsertUser(UserJob, kind="user.upsert"):
    """A person is in a discipline, under this name.

    `active` None leaves the activity of a row that is there, and makes a new one active.
    """

    name: PersonName
    discipline: Role
    active: bool | None = True
    folds = True
    messages = {
        "added": "Added *{name}* (<@{slack_id}>) to {role_title}.",
        "updated": "Updated *{name}* (<@{slack_id}>) in {role_title}.",
        "reactivated": "*{name}* (<@{slack_id}>) is active again in {role_title}.",
        "already_so": "*{name}* (<@{slack_id}>) is in {role_title} already.",
    }


class SetUserActive(UserJob, kind="user.set_active"):
    """A person becomes active or inactive, in all their disciplines."""

    active: bool
    messages = {
        "activated": "*{name}* (<@{slack_id}>) is active again in all their disciplines.",
        "deactivated": "*{name}* (<@{slack_id}>) is inactive in all their disciplines.{still_on_duty}",
        "already_so": "*{name}* (<@{slack_id}>) is {now} already.",
        "unknown_user": UNKNOWN,
    }


class RenameUser(UserJob, kind="user.rename"):
    """A person gets another name, in all their disciplines."""

    name: PersonName
    messages = {
        "renamed": "<@{slack_id}> is now *{name}*.",
        "already_so": "<@{slack_id}> is *{name}* already.",
        "unknown_user": UNKNOWN,
    }


class MoveUser(UserJob, kind="user.move"):
    """A person goes over to one discipline: from `from`, or from all that they are in."""

    to: Role
    origin: Role | None = Field(None, alias="from")
    messages = {
        "moved": "<@{slack_id}> has moved to {role_title}.",
        "already_so": "<@{slack_id}> is in {role_title} already.",
        "unknown_user": UNKNOWN,
    }


class SetUserDisciplines(UserJob, kind="user.set_disciplines"):
    """A person is in exactly these disciplines, active."""

    name: PersonName
    disciplines: Roles
    messages = {
        "set": "*{name}* (<@{slack_id}>) is now in {role_titles}.",
        "already_so": "*{name}* (<@{slack_id}>) is in {role_titles} already.",
    }


class RemoveUser(UserJob, kind="user.remove"):
    """A person leaves a discipline."""

    discipline: Role
    messages = {
        "removed": "<@{slack_id}> is no longer in {role_title}.",
        "missing": "<@{slack_id}> was not in {role_title}; nothing had to be removed.",
    }

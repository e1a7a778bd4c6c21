"""The job that remembers who is in the admin channel."""

from tasks.triage_job import TriageJob
from tasks.values import Instant, SlackId


class UpsertMembership(TriageJob, kind="membership.upsert"):
    """Whether somebody was in the admin channel when the bot looked."""

    slack_id: SlackId
    is_member: bool
    checked_at: Instant
    messages = {
        "saved": "<@{slack_id}> {is} in the admin channel.",
        "not_newer": "A look at least as new as this one is known for <@{slack_id}>.",
    }

    def lane(self) -> str:
        """The person's own lane; it has nothing to do with their disciplines."""
        return f"membership:{self.slack_id}"

"""A job kind of the next release: some bots enqueue it already, the workers learn of it with the deploy."""

from tasks.triage_job import TriageJob
from tasks.values import SlackId


class GrantBadge(TriageJob, kind="badge.grant"):
    """A person gets a badge."""

    slack_id: SlackId
    badge: str
    messages = {"granted": "<@{slack_id}> now has *{badge}*.", "has_it": "<@{slack_id}> has *{badge}* already."}

    def lane(self) -> str:
        """The person's lane."""
        return f"user:{self.slack_id}"

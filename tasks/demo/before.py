"""The first half: eight of today's bots on the bot's own database, as it is.

Each does the part of its intent that looks at the moment of looking, and the rest at the moment of writing. Between two
moments all eight wait for each other: that is the bad luck of the day, and all that the demo adds.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.demo.checks import look, note_answers
from tasks.demo.crowd import Post, Report, Told, crowd
from tasks.demo.intents import Intent, intents
from tasks.demo.stage import connected
from tasks.demo.story import Story
from tasks.demo.today import Acting, Answer, TodaysBot

LOOK_SECONDS = 0.05


def act(post: Post) -> Report:
    """What one of today's bots does; `post.where` is the database's URL."""
    bot = TodaysBot(post.where)
    told = []
    for intent, moments in post.steps():
        told.append(_told(intent, _live_through(post, bot.act(intent.job), intent, moments)))
        post.handled()
    bot.close()
    return Report(told, dict(bot.refused))


def _live_through(post: Post, acting: Acting, intent: Intent, moments: int) -> Answer:
    answer = None
    for moment in range(moments):
        post.together()
        if moment == intent.looks:
            next(acting)
        if moment == intent.writes:
            answer = _finish(acting)
    if answer is None:
        raise ValueError(f"intent {intent.number} never writes")
    return answer


def _finish(acting: Acting) -> Answer:
    try:
        next(acting)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's return value, typed by `Acting`
    raise ValueError("today's bot pauses once")


def _told(intent: Intent, answer: Answer) -> Told:
    return Told(intent.number, answer.answer, answer.code)


@dataclass(frozen=True, slots=True)
class Damage:
    """What the first half left behind."""

    intents: int
    errors: Mapping[str, int]
    """Errors that somebody was told, by constraint."""
    swallowed: Mapping[str, int]
    """Audit rows that the database refused and nobody heard of, by constraint."""
    lost_updates: Mapping[str, int]
    """Changes that somebody was told are done and that are not there, by conflict."""
    harmed: Mapping[str, int]
    """Intents that came to harm, by an error or in silence, by conflict."""
    audit_missing: int
    """Changes without an audit row."""
    audit_false: int
    """Audit rows of changes that never were."""

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "intents": self.intents,
            "errors": self.errors,
            "swallowed_errors": self.swallowed,
            "lost_updates": self.lost_updates,
            "audit_missing": self.audit_missing,
            "audit_false": self.audit_false,
        }


def play(url: str, seed: int, rounds: int, story: Story) -> Damage:
    """Let today's bots work, then count what they did. Raises BotFailed."""
    wanted = intents(seed, rounds)
    with crowd(act, seed, rounds, url) as bots:
        while not bots.done():
            story.progress("today's way", bots.handled, len(wanted))
            time.sleep(LOOK_SECONDS)
    reports = bots.reports()
    with connected(url) as connection:
        note_answers(connection, wanted, reports)
        lost = look(connection, "lost_updates")
        audit = Counter(fault.group for fault in look(connection, "audit", values=False))
    failed = [told for report in reports for told in report.told if told.answer == "error"]
    lost_updates = Counter(fault.group for fault in lost)
    return Damage(
        intents=len(wanted),
        errors=Counter(told.code for told in failed),
        swallowed=sum((Counter(report.refused) for report in reports), Counter()),
        lost_updates=lost_updates,
        harmed=lost_updates + Counter(str(wanted[told.number].conflict) for told in failed),
        audit_missing=audit["missing"],
        audit_false=audit["false"],
    )

"""The performance: both halves, one after the other, and what is to be said of them in the end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tasks.demo import before
from tasks.demo.after import Half
from tasks.demo.before import Damage
from tasks.demo.checks import AFTER, Fault
from tasks.demo.crew import Crew
from tasks.demo.intents import Conflict
from tasks.demo.stage import Stage, connected, stage
from tasks.demo.story import Story
from worker.settings import Settings

JOBS = ("enqueued", "applied", "unchanged", "rejected", "dead", "replayed")


@dataclass(frozen=True)
class Verdict:
    """What both halves left behind."""

    seed: int
    damage: Damage
    faults: Mapping[str, Sequence[Fault]]
    """Of the second half, by promise."""
    jobs: Mapping[str, int]
    per_second: float
    seconds: float

    @property
    def collided(self) -> bool:
        """Whether today's way showed each of the five conflicts."""
        return all(self.damage.harmed.get(conflict) for conflict in Conflict)

    @property
    def holds(self) -> bool:
        """Whether the conflicts are there in the first half, and nothing is wrong in the second."""
        return self.collided and not any(self.faults.values())

    def of(self, group: str) -> int:
        """How many faults of the second half are of this conflict, or of this part of the audit."""
        return sum(fault.group == group for faults in self.faults.values() for fault in faults)

    def as_json(self) -> dict[str, Any]:
        """For programs. `seconds` is what the demo took as a whole; the speed is the second half's, faults included."""
        return {
            "before": {"seed": self.seed, **self.damage.as_json()},
            "after": {promise: len(faults) for promise, faults in self.faults.items()},
            "jobs": dict(self.jobs),
            "seconds": round(self.seconds, 1),
            "jobs_per_second": round(self.per_second),
        }


class Performance:
    """The demo on its stage."""

    def __init__(self, ready: Stage, crew: Crew, story: Story, seed: int, rounds: int, began: float) -> None:
        self._stage, self.crew, self._story = ready, crew, story
        self._seed, self._rounds, self._began = seed, rounds, began

    @property
    def settings(self) -> Settings:
        """Of the second half."""
        return self._stage.settings

    @property
    def legacy_url(self) -> str:
        """The first half's database."""
        return self._stage.legacy_url

    def play(self) -> Verdict:
        """Both halves. Raises OnelaneError when one can't be played to its end."""
        self._story.chapter("Before: eight bots write to the bot's database, each as it does today")
        damage = before.play(self._stage.legacy_url, self._seed, self._rounds, self._story)
        self._story.tell(
            f"{damage.intents:,} intents: {_counted(damage.errors)}; swallowed: {_counted(damage.swallowed)}"
        )
        self._story.tell(
            "bad luck was made certain: the bots always met between reading and writing; all else is as it is"
        )
        self._story.chapter(
            "After: the same intents as jobs on lanes, two workers, the database brought up by our migrations"
        )
        self._story.doing("starting workers")
        self.crew.await_ready()
        with connected(self._stage.settings.database_url) as connection:
            half = Half(self._stage.settings, self.crew, self._story, connection)
            half.play(self._seed, self._rounds)
            self._story.doing("comparing what everybody was told with what was changed")
            first, speed = half.verify(), half.jobs()["per_second"]
            self._story.doing("mending what made jobs die, deploying the next release")
            done = half.mend()
            self._story.tell(
                f"causes mended, {len(done.replayed)} dead letters replayed; "
                f"{len(done.refused)} can never work and stay, with their bytes"
            )
            self._story.doing("comparing again")
            second, jobs = half.verify(), half.jobs()
        faults = {promise: list(dict.fromkeys([*first[promise], *second[promise]])) for promise in AFTER}
        ends = {name: jobs[name] for name in JOBS}
        return Verdict(self._seed, damage, faults, ends, speed, time.monotonic() - self._began)


@contextmanager
def performance(story: Story, seed: int, rounds: int) -> Iterator[Performance]:
    """The demo, ready to be played; everything that it starts ends with the block, and its directory goes."""
    began = time.monotonic()
    with stage() as ready:
        crew = Crew(ready.settings, story.tell)
        crew.start()
        try:
            yield Performance(ready, crew, story, seed, rounds, began)
        finally:
            crew.stop()


def _counted(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} errors by {constraint}" for constraint, number in errors.items()) or "no error"

"""The second half: the same intents, as jobs on lanes, with two Celery workers, on the database after our migrations.

The bots hand in as they do today, from eight processes at once; what collided then stands in a lane now. While they are
at it, a table is locked under the workers, one of them is killed in the middle of a transaction, and poison waits in
the lanes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from tasks.demo.checks import Fault, note_answers, note_effects, verify
from tasks.demo.crew import Crew
from tasks.demo.crowd import Crowd, Post, Report, Told, crowd
from tasks.demo.faults import kill_in_a_transaction, lock_a_table
from tasks.demo.intents import intents
from tasks.demo.poison import mend, plant
from tasks.demo.query import query
from tasks.demo.story import Story
from worker import Client, Handle, NoOutcome, OnelaneError, Refused
from worker.dead_letters import Filter, Replayed, replay
from worker.settings import Settings

PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.02
LOCKED_AT, KILLED_AT = 0.25, 0.5
"""Which part of the intents has ended when the fault comes."""


def act(post: Post) -> Report:
    """What one bot does: enqueue, and later tell its people what became of it; `post.where` is the settings."""
    settings: Settings = post.where
    client = Client(settings)
    handles: list[tuple[int, Handle | Refused]] = []
    for intent, _ in post.steps():
        post.together()
        try:
            handle = client.enqueue(intent.job, actor=f"U0BOT{post.number}", id=f"intent-{intent.number}")
        except Refused as refused:
            handles.append((intent.number, refused))
        else:
            handles.append((intent.number, handle))
        post.handled()
    return Report([_told(number, handle) for number, handle in handles], {})


def _told(number: int, handle: Handle | Refused) -> Told:
    if isinstance(handle, Refused):
        return Told(number, "error", type(handle).__name__)
    try:
        outcome = handle.wait(PATIENCE_SECONDS)
    except NoOutcome:
        return Told(number, "error", "no outcome", handle.id)
    answer = {"applied": "done", "unchanged": "done", "rejected": "no"}.get(outcome.status, "error")
    return Told(number, answer, outcome.code, handle.id)


class Half:
    """The second half at work."""

    def __init__(self, settings: Settings, crew: Crew, story: Story, connection: Connection[Any]) -> None:
        self._settings, self._crew, self._story, self._connection = settings, crew, story, connection
        self._client = Client(settings)

    def play(self, seed: int, rounds: int) -> None:
        """Let the bots enqueue while the faults happen, and wait until nothing waits any more. Raises OnelaneError."""
        wanted = intents(seed, rounds)
        doses = plant(self._client, self._connection)
        self._story.tell(
            f"{len(doses)} poisoned jobs are in the lanes: bytes that are no job, a kind that no worker knows yet, …"
        )
        with crowd(act, seed, rounds, self._settings) as bots:
            self._work(bots, len(wanted), lambda ended: ended > LOCKED_AT * len(wanted))
            waiting = lock_a_table(self._settings.database_url, self._client)
            self._story.tell(
                f"another session locked a table: {waiting} lanes wait for their next try, the others go on"
            )
            self._work(bots, len(wanted), lambda ended: ended > KILLED_AT * len(wanted))
            victim = self._crew.workers[0]
            in_it = kill_in_a_transaction(victim, self._connection)
            self._story.tell(f"SIGKILL for {victim.name}{', in the middle of a transaction' if in_it else ''}")
            self._work(bots, len(wanted), lambda _: bots.done())
            note_answers(self._connection, wanted, bots.reports())
        self.settle()

    def mend(self) -> Replayed:
        """Mend what made jobs die, and send all dead letters back into their lanes; which went, which were refused."""
        mend(self._connection)
        self._crew.deploy("tasks,tasks.demo.badges")
        done = replay(self._connection, Filter(), actor="U0OPERATOR", reason="the cause is mended")
        self.settle()
        return done

    def settle(self) -> None:
        """Wait until no lane holds a job and nothing is on its way. Raises OnelaneError when that takes too long."""
        redis, keys = self._client.redis, self._client.keys
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (
            self._value(query("on_its_way"))
            or redis.hlen(keys.named("pending"))
            or redis.zcard(keys.named("ready"))
            or redis.zcard(keys.named("claimed"))
        ):
            self._patience(deadline)

    def verify(self) -> Mapping[str, Sequence[Fault]]:
        """The faults by promise; all empty when all holds."""
        note_effects(self._connection, self._client.redis, self._settings.effects_stream)
        return verify(self._connection)

    def jobs(self) -> dict[str, Any]:
        """How the jobs ended, and how fast."""
        cursor = self._connection.cursor(row_factory=dict_row)
        return cursor.execute(query("jobs")).fetchone() or {}

    def _work(self, bots: Crowd, total: int, until: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            bots.done()
            ended = self._value(query("ended"))
            self._story.progress("through lanes", ended, total)
            if until(ended):
                return
            self._patience(deadline)

    def _patience(self, deadline: float) -> None:
        self._crew.look_after()
        if time.monotonic() > deadline:
            raise OnelaneError("The jobs did not come to an end; is the machine overloaded?")
        time.sleep(LOOK_SECONDS)

    def _value(self, statement: Any) -> int:
        row = self._connection.execute(statement).fetchone()
        return int(row[0]) if row else 0

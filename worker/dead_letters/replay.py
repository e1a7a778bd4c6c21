"""Replay: dead letters go back into their lanes, each under its own id and number.

A job is in exactly one place, whatever is killed:

    dead       its ledger row says so
    replaying  one transaction has changed the row and put the id into the outbox; a relay delivers it (relay.py), and
               replay.lua puts it into its lane, before the first job with a higher number
    ended      the batch that applies it writes the row anew, in the transaction of its effect (record.sql)

Each step may be repeated. A second delivery finds the job in its lane, or its row no longer `replaying`; a batch that
meets it a second time finds it ended. So to replay by id what is on its way already is harmless, and is the cure if
Redis has lost its data. A replay that was killed has left the rest dead; run again, it goes on with them.

An old job must not overwrite what newer ones have done. Whether a newer one took effect is asked twice: here, to
refuse with a reason while nothing has happened; and by the batch, under the lane's fence, since lanes go on meanwhile.
What was overtaken in between is a dead letter again. Only `force`, which is kept in the row, passes both.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from psycopg import Connection
from pydantic_core import to_json

from worker.dead_letters.acts import check_operator
from worker.dead_letters.filter import Filter
from worker.dead_letters.outlook import Outlook, outlooks, unmet
from worker.query import query

STEP = 5000
"""Dead letters that one transaction sends back. More than for other acts: the more of a lane go back at once, the less
each costs, and none of their bytes are held here.
"""


@dataclass
class Replayed:
    """What a replay did: ids in the order in which they go back, and for those that don't, why."""

    replayed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, found: Iterable[Outlook], *, force: bool) -> Self:
        """What a replay of these would do."""
        result = cls()
        for outlook in found:
            refusal = outlook.refusal(force=force)
            if refusal is None:
                result.replayed.append(outlook.job_id)
            else:
                result.refused[outlook.job_id] = refusal
        return result

    def add(self, step: "Replayed") -> None:
        """A step of it was done."""
        self.replayed += step.replayed
        self.refused |= step.refused


def replay(
    connection: Connection, found: Filter, *, actor: str, reason: str | None = None, force: bool = False
) -> Replayed:
    """Send the dead letters that are found back into their lanes; a worker delivers them.

    Each 5,000 are one transaction, or a part of the caller's. To hear of their ends ask the ledger (`ends_of`): Redis
    may know an old outcome until they are delivered. Raises Refused when actor or reason are none.
    """
    result = Replayed()
    for step in replay_steps(connection, found, actor=actor, reason=reason, force=force):
        result.add(step)
    return result


def replay_steps(
    connection: Connection,
    found: Filter,
    *,
    actor: str,
    reason: str | None = None,
    force: bool = False,
    size: Callable[[], int] = lambda: STEP,
    dry_run: bool = False,
) -> Iterator[Replayed]:
    """The same, `size()` at a time: a step is done when it is asked for. `dry_run` only says what would be done.

    What somebody else has replayed since it was found is passed over, unless it was asked for by id.
    """
    check_operator(actor, reason)
    yield Replayed(refused=unmet(connection, found))
    for ids in found.chunks(connection, size):
        with connection.transaction():
            met = outlooks(connection, ids, lock=not dry_run)
            ours = met if found.ids or found.replaying else [each for each in met if each.status == "dead"]
            step = Replayed.of(ours, force=force)
            if step.replayed and not dry_run:
                values = {"ids": to_json(step.replayed).decode(), "force": force, "actor": actor, "reason": reason}
                connection.execute(query("dead_replay"), values, prepare=False)
        yield step


def ends_of(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    """The status of those of these jobs that have ended (again)."""
    return dict(connection.execute(query("dead_ends"), {"ids": list(ids)}, prepare=False).fetchall())

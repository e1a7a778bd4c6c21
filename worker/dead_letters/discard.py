"""Discard: dead letters are given up. They stay in the ledger with their bytes, and nothing can replay them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg import Connection

from worker.dead_letters.acts import check_operator
from worker.dead_letters.filter import Filter
from worker.dead_letters.outlook import unmet
from worker.query import query


@dataclass
class Discarded:
    """What was discarded, in order, and for those that were not, why."""

    discarded: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def discard(
    connection: Connection,
    found: Filter,
    *,
    actor: str,
    reason: str | None = None,
    dry_run: bool = False,
    advance: Callable[[int], object] = lambda _: None,
) -> Discarded:
    """Give up the dead letters that are found; with `dry_run` only say which. `advance` hears how many more are done.

    Each 1,000 are one transaction, or a part of the caller's. Raises Refused when actor or reason are none.
    """
    check_operator(actor, reason)
    result = Discarded(refused=unmet(connection, found))
    for ids in found.chunks(connection):
        values = {"ids": ids, "actor": actor, "reason": reason}
        with connection.transaction(force_rollback=dry_run):
            done = [job_id for (job_id,) in connection.execute(query("dead_discard"), values, prepare=False)]
        result.discarded += done
        on_its_way = "It is on its way back to its lane; `onelane cancel` takes it out there."
        taken = set(done)
        result.refused |= {job_id: on_its_way for job_id in ids if job_id not in taken}
        advance(len(ids))
    return result

"""Poison: what should not be in a lane, and is. Some of it can never work, some will once its cause is mended.

It must end as dead letters, each with its own error, and harm nobody: the jobs behind it in the same lane run.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import Connection
from pydantic_core import to_json

from tasks.demo.badges import GrantBadge
from tasks.demo.query import query
from tasks.users import UpsertUser
from worker import Client
from worker.envelope import digest_of

COPIES = 3


@dataclass(frozen=True, slots=True)
class Dose:
    """One piece of poison: its lane, the code of the dead letter that it must become, whether that can be mended."""

    lane: str
    code: str
    mendable: bool


def plant(client: Client, connection: Connection[Any]) -> Sequence[Dose]:
    """Put poison into lanes that will be busy, and some into lanes of its own."""
    connection.execute(query("forbid_long_names"))
    doses = [*_by_hand(client), *_of_the_next_release(client), *_refused_by_a_hand_made_check(client)]
    for dose in doses:
        connection.execute(query("note_poison"), asdict(dose))
    return doses


def mend(connection: Connection[Any]) -> None:
    """Take the hand-made constraint away; the other cause, an unknown kind, is mended by a deploy."""
    connection.execute(query("mend_poison"))


def _by_hand(client: Client) -> list[Dose]:
    """Somebody pushes into lists: bytes that are no job, and a name that no form would have let through."""
    payload = {"slack_id": "U0NEW0001", "name": "n" * 101, "discipline": "po", "active": True}
    head = {"seq": 1, "id": "by-hand", "kind": "user.upsert", "lane": "user:U0NEW0001", "actor": "U0HAND"}
    rest = {"reason": None, "at": 1, "digest": digest_of("user.upsert", payload), "payload": payload}
    put: list[tuple[str, bytes, str]] = [
        ("sprints", b"\x00\xffno job at all", "damaged"),
        ("user:U0NEW0000", b'{"id": "half a jo', "damaged"),
        ("user:U0NEW0001", to_json({**head, **rest}), "invalid"),
    ]
    for lane, raw, _ in put:
        client.redis.rpush(client.keys.lane(lane), raw)
    return [Dose(lane, code, mendable=False) for lane, _, code in put]


def _of_the_next_release(client: Client) -> list[Dose]:
    jobs = [GrantBadge(slack_id=f"U0BADGE{n}", badge="early bird") for n in range(COPIES)]
    return _enqueued(client, jobs, "unknown_kind")


def _refused_by_a_hand_made_check(client: Client) -> list[Dose]:
    jobs = [UpsertUser(slack_id=f"U0LONG{n}", name="n" * 80, discipline="po") for n in range(COPIES)]
    return _enqueued(client, jobs, "permanent")


def _enqueued(client: Client, jobs: Sequence[Any], code: str) -> list[Dose]:
    return [Dose(handle.lane, code, mendable=True) for handle in client.enqueue_many(jobs, actor="U0ADMIN1")]

"""Lanes: their names, and the only builder of Redis keys.

A lane is the FIFO of one entity. Its name says whose: `user:U0EXAMPLE01`, `override:26:po`, `rotation`.
All keys stand under one prefix in braces, a Redis Cluster hash tag, so that every script stays on one slot.

    lane:<name>   list    envelopes, head = next
    ready         zset    lane → time (µs) from which it may be claimed; parked lanes have one in the future
    claimed       zset    lane → end of its lease (µs)
    tokens        hash    lane → token of the claim in force, and how many jobs of it are acknowledged
    attempts      hash    lane → failed attempts of its head, and when the first was
    crashes       hash    lane → workers that died under its head
    held          hash    lane → end time (µs, 0 = none) and a note: why, by whom
    pending       hash    job id → digest of its payload, and its lane
    cancelled     hash    job id → a note: why, by whom
    clock         string  last number given out
    outcome:<id>  list    the one outcome of an ended job, for a while
    bell, lingering, wake, drains, grant:<drain>     who has been called, and who is at work (claim.lua, call.lua)

    tally, workers, guard, incidents, incident_counts, incidents_over, alerts, alert_cursors     for watching alone
                         (tally.py, sentinel.py, alerts.py, recipient.py)

The bot's stream of effects has a name of its own, and beside it, on the same slot, the ids that it has `seen`.

A lane that is not empty stands in exactly one of `ready`, `claimed` and (held without an end time) `held`.
"""

import re

from worker.errors import Refused

LANE_NAME = re.compile(r"[^\x00-\x20\x7f]{1,200}")


def check_lane(name: str) -> str:
    """The name, if it is one. Raises Refused: a lane's name is 1 to 200 characters without blanks or controls."""
    if not isinstance(name, str) or not LANE_NAME.fullmatch(name):
        raise Refused(f"lane: {name!r} is no lane name; expected 1 to 200 characters without blanks")
    return name


class Keys:
    """The Redis keys of one partition; the attributes are named as the scripts name them."""

    def __init__(self, prefix: str) -> None:
        self._root = f"{{{prefix}}}:"

    def named(self, name: str, **of: str) -> str:
        """The key that a script calls `name`; `of` gives the lane, id or drain where the key is one entity's."""
        match name:
            case "lane" | "outcome" | "grant":
                return f"{self._root}{name}:{of[name]}"
            case "lanes" | "outcomes":
                return f"{self._root}{name[:-1]}:"
            case "effects":
                return of[name]
            case "seen":
                return f"{{{of['effects']}}}:seen"
            case _:
                return self._root + name

    def lane(self, name: str) -> str:
        """The list of one lane."""
        return self.named("lane", lane=name)

    def outcome(self, job_id: str) -> str:
        """The list that holds the outcome of one job."""
        return self.named("outcome", outcome=job_id)

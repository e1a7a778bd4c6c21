"""What people want of the bot: the five conflicts, round by round, from a seed; the same list for both halves.

An intent is a job that one of eight bots is asked for. All intents of a step arrive at the same time. For today's way
it also says when within the step the bot looks and when it writes; a job on a lane has no such moments.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from tasks.overrides import ApproveOverride, DeclineOverride, RequestOverride
from tasks.rotation import RoleChange, SetRoles
from tasks.sprints import AppendSprint
from tasks.triage_job import TriageJob
from tasks.users import UpsertUser
from tasks.values import ROLES, Role

BOTS = 8
STEPS_A_ROUND = 2
CURRENT_SPRINT = 3
"""As in sql/team.sql, like those who are on duty there."""
SPRINTS = 40
ON_DUTY: dict[Role, str] = {"account": "U0ACCOUNT0", "producer": "U0PRODUCER0"}
NAMES = (
    "Ada",
    "Bo",
    "Cleo",
    "Dana",
    "Eli",
    "Fay",
    "Gus",
    "Ines",
    "Jo",
    "Kit",
    "Lea",
    "Max",
    "Nia",
    "Oz",
    "Pia",
    "Quin",
)


class Conflict(StrEnum):
    """The five ways in which today's writes collide."""

    DISCIPLINE = "a second discipline"
    SPRINT = "two sprints at once"
    STATE = "two writers of the state"
    AGAIN = "a request made again"
    DECLINE = "approve against decline"


@dataclass(frozen=True, slots=True)
class Intent:
    """What one person wants. `looks` and `writes` are moments of the step, counted from 0."""

    number: int
    step: int
    bot: int
    conflict: Conflict
    job: TriageJob
    looks: int
    writes: int


Wanted = tuple[Conflict, TriageJob, int, int]


def intents(seed: int, rounds: int) -> list[Intent]:
    """The intents of so many rounds, in the order of their steps; each step has one for every bot."""
    dice = random.Random(seed)  # noqa: S311 - it shall be repeatable, not secret
    on_duty = dict(ON_DUTY)
    found: list[Intent] = []
    for turn in range(rounds):
        for step, wanted in enumerate(_round(turn, dice, on_duty), STEPS_A_ROUND * turn):
            bots = dice.sample(range(BOTS), BOTS)
            found += [
                Intent(len(found) + place, step, bot, *each)
                for place, (bot, each) in enumerate(zip(bots, wanted, strict=True))
            ]
    return found


def _round(turn: int, dice: random.Random, on_duty: dict[Role, str]) -> Iterator[list[Wanted]]:
    """Two steps: people ask; then others answer, or ask again, while it is being answered."""
    ui = _request(turn, CURRENT_SPRINT, "uiEng", "UI", dice)
    po = _request(turn, CURRENT_SPRINT, "po", "PO", dice)
    again = _request(turn, dice.randrange(CURRENT_SPRINT + 1, SPRINTS), dice.choice(ROLES), "AGAIN", dice)
    unsure = _request(turn, dice.randrange(CURRENT_SPRINT + 1, SPRINTS), dice.choice(ROLES), "UNSURE", dice)
    person, name = f"U0NEW{turn:04}", f"{dice.choice(NAMES)} {turn}"
    yield [
        (Conflict.STATE, ui, 0, 1),
        (Conflict.STATE, po, 0, 1),
        (Conflict.AGAIN, again, 0, 1),
        (Conflict.DECLINE, unsure, 0, 1),
        (Conflict.DISCIPLINE, UpsertUser(slack_id=person, name=name, discipline="uiEng"), 0, 1),
        (Conflict.DISCIPLINE, UpsertUser(slack_id=person, name=name, discipline="beEng"), 0, 1),
        (Conflict.SPRINT, _sprint(turn, "North"), 0, 1),
        (Conflict.SPRINT, _sprint(turn, "South"), 0, 1),
    ]
    yield [
        (Conflict.STATE, _approve(ui), 0, 3),  # its Slack calls take long
        (Conflict.STATE, _set_role(turn, on_duty), 0, 1),
        (Conflict.STATE, _approve(po), 2, 2),
        (Conflict.AGAIN, _approve(again), 0, 0),
        (Conflict.AGAIN, again, 0, 1),
        (Conflict.AGAIN, again, 0, 1),
        (Conflict.DECLINE, _decline(unsure), 0, 2),
        (Conflict.DECLINE, _approve(unsure), 1, 1),
    ]


def _request(turn: int, sprint_index: int, role: Role, tag: str, dice: random.Random) -> RequestOverride:
    return RequestOverride(
        sprint_index=sprint_index,
        role=role,
        requested_by=f"U0ASKS{tag}{turn:04}",
        replacement_slack_id=f"U0{tag}{turn:04}",
        replacement_name=dice.choice(NAMES),
    )


def _approve(request: RequestOverride) -> ApproveOverride:
    return ApproveOverride(**_known_by(request), approved_by="U0ADMIN1")


def _decline(request: RequestOverride) -> DeclineOverride:
    return DeclineOverride(**_known_by(request), declined_by="U0ADMIN2")


def _known_by(request: RequestOverride) -> dict[str, Any]:
    return request.model_dump(include={"sprint_index", "role", "requested_by", "replacement_slack_id"})


def _set_role(turn: int, on_duty: dict[Role, str]) -> SetRoles:
    """An admin relieves whom the last one has put there; the two roles take turns."""
    role: Role = "account" if turn % 2 else "producer"
    holder, on_duty[role] = on_duty[role], f"U0{role.upper()}{turn:04}X"
    return SetRoles(expected_sprint_index=CURRENT_SPRINT, roles={role: RoleChange(holder=holder, to=on_duty[role])})


def _sprint(turn: int, team: str) -> AppendSprint:
    begins = date(2050, 1, 1) + timedelta(days=14 * turn)
    return AppendSprint(sprint_name=f"{team} {turn}", start_date=begins, end_date=begins + timedelta(days=13))

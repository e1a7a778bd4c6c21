"""The rotation: who is on duty when, who is told, and that nothing but what was asked for changes."""

import json
from typing import Any

import pytest

from tasks import (
    ApproveOverride,
    RecomputeRotation,
    RefreshRotation,
    RemindRotation,
    RemoveOverride,
    RequestOverride,
    SetRoles,
    SetUserActive,
    TransitionRotation,
    UpsertSprint,
    UpsertUser,
)
from tests.domain.conftest import Desk

ANN, BO, CY, DI, ADMIN = "U0EXAMPLE01", "U0EXAMPLE02", "U0EXAMPLE03", "U0EXAMPLE04", "U0EXAMPLE09"
NOBODY = {"account": None, "producer": None, "po": None, "ui_eng": None, "be_eng": None}
DURING_7 = "2030-01-10T12:00:00-08:00"
DURING_8 = "2030-01-20T12:00:00-08:00"


def add_sprint(desk: Desk, index: int, start: str, end: str) -> None:
    payload = {"sprint_index": index, "sprint_name": f"Sp{index}", "start_date": start, "end_date": end}
    desk.do(UpsertSprint.model_validate(payload))


@pytest.fixture
def team(desk: Desk) -> Desk:
    """Ann, Bo and Cy in po, Di in uiEng; sprints 7 and 8 share January 15."""
    for name, slack_id in (("Ann", ANN), ("Bo", BO), ("Cy", CY)):
        desk.do(UpsertUser(slack_id=slack_id, name=name, discipline="po"))
    desk.do(UpsertUser(slack_id=DI, name="Di", discipline="uiEng"))
    add_sprint(desk, 7, "2030-01-02", "2030-01-15")
    add_sprint(desk, 8, "2030-01-15", "2030-01-28")
    desk.at(DURING_7)
    desk.connection.execute("TRUNCATE audit_logs")
    desk.forget_outbox()
    return desk


def dms(desk: Desk) -> dict[str, str]:
    found = [(dm["to"], dm["text"]) for dm in desk.effects("dm")]
    assert len(found) == len(dict(found)), f"somebody was told twice: {found}"
    return dict(found)


def on_duty(desk: Desk, index: int, **fallback: str) -> dict[str, str | None]:
    (roles,) = desk.values("SELECT triage.on_duty(%s, %s::jsonb)", index, json.dumps(fallback))
    return dict(roles)


@pytest.mark.parametrize(
    ("moment", "sprint"),
    [
        ("2030-01-01T23:59:59-08:00", None),
        ("2030-01-02T00:00:00-08:00", 7),
        ("2030-01-15T07:59:59-08:00", 7),
        ("2030-01-15T08:00:00-08:00", 8),
        ("2030-01-15T17:00:00-08:00", 8),
        ("2030-01-28T23:59:59-08:00", 8),
        ("2030-01-29T00:00:00-08:00", 9),  # begins the day after: at midnight, not at eight
        ("2030-03-10T07:59:59-07:00", 9),  # clocks go forward on this day
        ("2030-03-10T08:00:00-07:00", 10),
        ("2030-11-03T07:59:59-08:00", 10),  # and back on this one
        ("2030-11-03T08:00:00-08:00", 12),  # three overlap: only the first or the last
        ("2030-12-01T08:00:00-08:00", None),
    ],
)
def test_the_current_sprint_at_a_moment(team: Desk, moment: str, sprint: int | None) -> None:
    add_sprint(team, 9, "2030-01-29", "2030-03-10")
    add_sprint(team, 10, "2030-03-10", "2030-11-03")
    add_sprint(team, 11, "2030-11-03", "2030-11-10")
    add_sprint(team, 12, "2030-11-03", "2030-11-20")
    assert team.values("SELECT triage.current_sprint(%s, 'America/Los_Angeles')", moment) == [sprint]


def test_the_worked_example(team: Desk) -> None:
    """Domain rules: by name, index modulo length; one deactivation moves every later sprint; an override beats all."""
    assert on_duty(team, 7)["po"] == BO
    team.do(SetUserActive(slack_id=ANN, active=False))
    assert on_duty(team, 7)["po"] == CY
    request(team, ANN, approve=True)
    assert on_duty(team, 7)["po"] == ANN
    assert on_duty(team, 8)["po"] == BO


def request(desk: Desk, replacement: str, *, approve: bool, at: str = "2030-01-05T00:00:00Z", role: str = "po") -> Any:
    seat = {"sprint_index": 7, "role": role, "requested_by": ADMIN, "replacement_slack_id": replacement}
    outcome = desk.do(RequestOverride.model_validate({**seat, "requested_at": at}))
    if approve:
        outcome = desk.do(ApproveOverride.model_validate({**seat, "approved_by": ADMIN}))
    return outcome


def test_the_newest_created_override_wins_whatever_was_approved_last(team: Desk) -> None:
    request(team, CY, approve=True, at="2030-01-06T00:00:00Z")
    request(team, ANN, approve=True, at="2030-01-05T00:00:00Z")
    request(team, DI, approve=False, at="2030-01-07T00:00:00Z")
    assert on_duty(team, 7)["po"] == CY


def test_an_empty_list_gives_the_fallback_or_nobody(team: Desk) -> None:
    assert on_duty(team, 7, account="U0FALLBACK")["account"] == "U0FALLBACK"
    assert on_duty(team, 7)["account"] is None


def test_names_that_are_equal_are_ordered_by_row(team: Desk) -> None:
    for slack_id in ("U0Z", "U0A", "U0M"):
        team.do(UpsertUser(slack_id=slack_id, name="Same", discipline="beEng"))
    assert [on_duty(team, index)["beEng"] for index in (6, 7, 8)] == ["U0Z", "U0A", "U0M"]


def test_a_refresh_begins_a_sprint_once_and_tells_each_person_once(team: Desk) -> None:
    first, second = team.do(RefreshRotation()), team.do(RefreshRotation())
    assert (first.status, first.code) == ("applied", "changed")
    assert (second.status, second.code) == ("unchanged", "up_to_date")
    assert team.state() == {**NOBODY, "sprint_index": 7, "po": BO, "ui_eng": DI}
    assert dms(team) == {
        BO: "You are now on triage duty as PO in Sp7.",
        DI: "You are now on triage duty as UI Engineering in Sp7.",
    }
    assert team.effects("user_group") == [{"ids": [BO, DI]}]
    assert team.effects("topic") == [{"ids": [BO, DI], "sprint_index": 7, "sprint_name": "Sp7"}]
    assert team.audits() == [("current_state", "UPDATE")]
    assert first.before["sprint_index"] is None
    assert first.after["po_slack_id"] == BO


def test_a_transition_says_goodbye_and_welcome(team: Desk) -> None:
    team.do(UpsertUser(slack_id=BO, name="Bo", discipline="beEng"))
    team.do(RefreshRotation())
    team.forget_outbox()
    team.at(DURING_8)
    team.do(RefreshRotation())
    assert team.state() == {**NOBODY, "sprint_index": 8, "po": CY, "ui_eng": DI, "be_eng": BO}
    assert dms(team) == {
        BO: "You are now on triage duty as BE Engineering in Sp8.",
        DI: "You are now on triage duty as UI Engineering in Sp8.",
        CY: "You are now on triage duty as PO in Sp8.",
    }
    assert team.effects("user_group") == [{"ids": [CY, DI, BO]}]


def test_somebody_whose_duty_ends_is_told_so(team: Desk) -> None:
    team.do(RefreshRotation())
    team.forget_outbox()
    team.at(DURING_8)
    team.do(RefreshRotation())
    assert dms(team)[BO] == "Your triage duty as PO in Sp7 has ended. Thank you!"


def test_the_same_person_in_two_roles_is_told_and_listed_once(team: Desk) -> None:
    team.do(UpsertUser(slack_id=BO, name="Bo", discipline="account"))
    team.do(RefreshRotation())
    assert dms(team)[BO] == "You are now on triage duty as Account and PO in Sp7."
    assert team.effects("user_group") == [{"ids": [BO, DI]}]


def test_between_sprints_and_with_nobody_set_a_refresh_leaves_the_state(team: Desk) -> None:
    team.do(RefreshRotation())
    team.connection.execute("UPDATE current_state SET po_slack_id = NULL, ui_eng_slack_id = NULL")
    assert team.do(RefreshRotation()).code == "up_to_date"
    assert team.state() == {**NOBODY, "sprint_index": 7}
    team.at("2031-01-01T12:00:00-08:00")
    outcome = team.do(RefreshRotation())
    assert (outcome.status, outcome.code) == ("unchanged", "no_current_sprint")
    assert team.state()["sprint_index"] == 7


def test_what_is_stored_wins_over_the_lists_until_the_sprint_ends(team: Desk) -> None:
    team.do(RefreshRotation())
    team.do(SetUserActive(slack_id=BO, active=False))
    team.do(RefreshRotation())
    assert team.state()["po"] == BO


def test_an_approval_changes_only_its_role_and_is_told_once(team: Desk) -> None:
    team.do(RefreshRotation())
    team.connection.execute("UPDATE current_state SET account_slack_id = 'U0CHOSEN'")
    request(team, CY, approve=True)
    ((kind, payload),) = [f for f in team.follow_ups() if f[0] == "rotation.recompute"]
    team.forget_outbox()
    job = RecomputeRotation.model_validate(payload)
    assert (kind, team.do(job).code, team.do(job).code) == (job.kind, "changed", "up_to_date")
    assert team.state() == {**NOBODY, "sprint_index": 7, "account": "U0CHOSEN", "po": CY, "ui_eng": DI}
    assert dms(team) == {
        BO: "You are no longer on triage duty as PO in Sp7.",
        CY: "You are now on triage duty as PO in Sp7.",
    }
    assert len(team.effects("user_group")) == len(team.effects("topic")) == 1


def test_two_approvals_of_one_sprint_both_take_effect(team: Desk) -> None:
    """The bot lost one of them when they interleaved."""
    team.do(RefreshRotation())
    request(team, CY, approve=True)
    request(team, ANN, approve=True, role="uiEng")
    for _, payload in team.follow_ups():
        team.do(RecomputeRotation.model_validate(payload))
    assert team.state() == {**NOBODY, "sprint_index": 7, "po": CY, "ui_eng": ANN}


def test_removing_an_approved_override_puts_the_list_back(team: Desk) -> None:
    row = request(team, CY, approve=True).after
    team.do(RefreshRotation())
    assert team.state()["po"] == CY
    seat = {"sprint_index": 7, "role": "po", "requested_by": ADMIN, "replacement_slack_id": CY}
    team.do(RemoveOverride.model_validate({**seat, "id": row["id"]}))
    team.do(RecomputeRotation(sprint_index=7, roles=("po",)))
    assert team.state()["po"] == BO


def test_a_recompute_of_another_sprint_is_stale(team: Desk) -> None:
    job = RecomputeRotation(sprint_index=7, roles=("po",))
    assert team.do(job).code == "stale"  # not refreshed yet: the refresh will compute it all
    team.do(RefreshRotation())
    team.at(DURING_8)
    outcome = team.do(job)
    assert (outcome.status, outcome.code) == ("unchanged", "stale")
    assert outcome.message == "*Sp7* is not the current sprint; the people on duty now stay the same."


def set_po(before: str | None, after: str | None, sprint: int = 7) -> SetRoles:
    return SetRoles.model_validate({"expected_sprint_index": sprint, "roles": {"po": {"from": before, "to": after}}})


def test_an_admin_sets_one_role_if_it_is_held_by_whom_they_saw(team: Desk) -> None:
    team.do(RefreshRotation())
    team.forget_outbox()
    assert team.do(set_po(BO, ANN)).code == "set"
    assert team.state() == {**NOBODY, "sprint_index": 7, "po": ANN, "ui_eng": DI}
    assert team.do(set_po(BO, ANN)).code == "already_so"
    conflict = team.do(set_po(BO, CY))
    assert (conflict.status, conflict.code) == ("rejected", "role_conflict")
    assert conflict.message == ("Nothing was changed: PO is held by <@U0EXAMPLE01> meanwhile. Open the form again.")
    stale = team.do(set_po(ANN, CY, sprint=6))
    assert (stale.status, stale.code) == ("rejected", "stale_sprint")
    assert team.do(set_po(ANN, None)).code == "set"
    assert team.state()["po"] is None
    assert (
        team.do(set_po(CY, BO)).message == "Nothing was changed: PO is held by nobody meanwhile. Open the form again."
    )


def test_a_swap_tells_both_that_their_duty_has_changed(team: Desk) -> None:
    team.do(RefreshRotation())
    team.forget_outbox()
    swap = {"po": {"from": BO, "to": DI}, "uiEng": {"from": DI, "to": BO}}
    team.do(SetRoles.model_validate({"expected_sprint_index": 7, "roles": swap}))
    assert dms(team) == {
        DI: "Your triage duty in Sp7 has changed from UI Engineering to PO.",
        BO: "Your triage duty in Sp7 has changed from PO to UI Engineering.",
    }


def test_a_transition_by_hand_and_its_dry_run(team: Desk) -> None:
    team.do(RefreshRotation())
    team.forget_outbox()
    dry = team.do(TransitionRotation(sprint_index=8, dry_run=True))
    assert (dry.status, dry.code) == ("unchanged", "would_change")
    assert dry.message == "The rotation would go to *Sp8*: PO <@U0EXAMPLE03>, UI Engineering <@U0EXAMPLE04>."
    assert dry.after["roles"]["po"] == CY
    assert team.state()["sprint_index"] == 7
    assert team.values("SELECT count(*) FROM onelane.outbox") == [0]
    assert [team.do(TransitionRotation(sprint_index=8)).code for _ in range(2)] == ["changed", "already_so"]
    assert team.state() == {**NOBODY, "sprint_index": 8, "po": CY, "ui_eng": DI}
    assert len(dms(team)) == 3


def remind(day: str) -> RemindRotation:
    return RemindRotation.model_validate({"date": day})


def test_the_reminder_is_sent_once_on_the_last_day_of_a_sprint_that_hands_over_at_midnight(team: Desk) -> None:
    add_sprint(team, 9, "2030-01-29", "2030-02-10")
    team.at(DURING_8)
    team.do(RefreshRotation())
    team.connection.execute("UPDATE current_state SET po_slack_id = %s", [ANN])
    team.forget_outbox()
    first, second = team.do(remind("2030-01-28")), team.do(remind("2030-01-28"))
    assert (first.code, second.code) == ("reminded", "already_reminded")
    assert (first.status, second.status) == ("applied", "unchanged")
    assert dms(team) == {
        ANN: "Your triage duty as PO in Sp8 ends today. Your triage duty as PO in Sp9 begins next.",
        DI: "Your triage duty as UI Engineering in Sp8 ends today. "
        "Your triage duty as UI Engineering in Sp9 begins next.",
    }
    assert team.audits() == [("sprints", "INSERT"), ("current_state", "UPDATE")]


@pytest.mark.parametrize("day", ["2030-01-15", "2030-01-14", "2030-01-28", "2031-01-01"])
def test_no_reminder_where_the_next_sprint_has_begun_or_none_comes(team: Desk, day: str) -> None:
    outcome = team.do(remind(day))
    assert (outcome.status, outcome.code) == ("unchanged", "nothing_ends")
    assert team.effects("dm") == []


def test_the_state_is_copied_when_it_changes(team: Desk) -> None:
    team.context["copies"] = {"state": [{"kind": "export.json", "payload": {"file": "currentState"}}]}
    team.do(RefreshRotation())
    team.do(RefreshRotation())
    assert team.follow_ups() == [("export.json", {"file": "currentState"})]

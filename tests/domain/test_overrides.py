"""Overrides: a request, its approval, its end; each decided once, each told to whom it concerns."""

from typing import Any

import pytest

from tasks import ApproveOverride, DeclineOverride, RemoveOverride, RequestOverride, UpsertSprint
from tests.domain.conftest import Desk
from worker.verdict import MustWait

ANN, BO, CY, ADMIN = "U0EXAMPLE01", "U0EXAMPLE02", "U0EXAMPLE03", "U0EXAMPLE09"
SEAT: dict[str, Any] = {"sprint_index": 3, "role": "po", "requested_by": ANN, "replacement_slack_id": BO}

REQUEST = RequestOverride(**SEAT, replacement_name="Bo")
APPROVE = ApproveOverride(**SEAT, approved_by=ADMIN)
DECLINE = DeclineOverride(**SEAT, declined_by=ADMIN)
RECOMPUTE = ("rotation.recompute", {"sprint_index": 3, "roles": ["po"]})


@pytest.fixture
def seat(desk: Desk) -> Desk:
    """A desk with sprint 3."""
    desk.do(
        UpsertSprint.model_validate(
            {"sprint_index": 3, "sprint_name": "FY30 Sp3", "start_date": "2030-01-02", "end_date": "2030-01-15"}
        )
    )
    desk.forget_outbox()
    desk.connection.execute("TRUNCATE audit_logs")
    return desk


def overrides(desk: Desk) -> list[tuple[str, bool, str | None]]:
    rows = desk.rows("SELECT * FROM overrides ORDER BY id")
    return [(r["replacement_slack_id"], r["approved"], r["approved_by"]) for r in rows]


def test_a_new_request_waits_for_approval_and_the_admins_are_told_once(seat: Desk) -> None:
    first, second = seat.do(REQUEST, actor=ANN), seat.do(REQUEST, actor=ANN)
    assert (first.status, first.code) == ("applied", "created")
    assert (second.status, second.code) == ("unchanged", "already_pending")
    assert second.message == ("You already asked <@U0EXAMPLE02> to cover PO in FY30 Sp3; it is waiting for approval.")
    assert overrides(seat) == [(BO, False, None)]
    assert seat.audits() == [("overrides", "INSERT")]
    (told,) = seat.effects("admins")
    assert told["text"] == "<@U0EXAMPLE01> asks <@U0EXAMPLE02> to cover PO in FY30 Sp3."
    assert {name: told[name] for name in SEAT} == SEAT
    assert told["override_id"] == first.after["id"]


def test_a_repeated_request_refreshes_only_the_name(seat: Desk) -> None:
    seat.do(REQUEST)
    outcome = seat.do(RequestOverride(**SEAT, replacement_name="Bob"))
    assert (outcome.status, outcome.code, outcome.after["replacement_name"]) == ("applied", "already_pending", "Bob")
    assert seat.do(RequestOverride(**SEAT)).after["replacement_name"] == "Bob"
    assert seat.audits() == [("overrides", "INSERT"), ("overrides", "UPDATE")]


def test_a_request_after_the_approval_keeps_it(seat: Desk) -> None:
    seat.do_all([REQUEST, APPROVE])
    approved = seat.rows("SELECT * FROM overrides")
    outcome = seat.do(REQUEST)
    assert (outcome.status, outcome.code) == ("unchanged", "already_approved")
    assert outcome.message == "You already asked <@U0EXAMPLE02> to cover PO in FY30 Sp3; it is approved."
    assert seat.rows("SELECT * FROM overrides") == approved


def test_the_first_approver_is_kept_and_nobody_is_told_twice(seat: Desk) -> None:
    seat.do(REQUEST)
    first = seat.do(APPROVE)
    second = seat.do(ApproveOverride(**SEAT, approved_by=CY))
    assert (first.status, first.code) == ("applied", "approved")
    assert first.message == "Approved: <@U0EXAMPLE02> covers PO in FY30 Sp3 for <@U0EXAMPLE01>."
    assert (second.status, second.code) == ("unchanged", "already_approved")
    assert second.message.startswith("<@U0EXAMPLE09> has approved this already: ")
    assert overrides(seat) == [(BO, True, ADMIN)]
    assert seat.audits() == [("overrides", "INSERT"), ("overrides", "UPDATE")]
    assert [(dm["to"], dm["text"]) for dm in seat.effects("dm")] == [
        (ANN, "<@U0EXAMPLE09> has approved that <@U0EXAMPLE02> covers PO in FY30 Sp3 for you."),
        (BO, "You cover PO in FY30 Sp3 for <@U0EXAMPLE01>; <@U0EXAMPLE09> has approved it."),
    ]
    assert seat.follow_ups() == [RECOMPUTE]


def test_a_pending_request_whose_flag_is_null_can_be_approved(seat: Desk) -> None:
    seat.do(REQUEST)
    seat.connection.execute("UPDATE overrides SET approved = NULL")
    assert seat.do(APPROVE).code == "approved"


@pytest.mark.parametrize(
    ("jobs", "codes", "left"),
    [
        ([APPROVE, DECLINE], ["approved", "already_approved"], [(BO, True, ADMIN)]),
        ([DECLINE, APPROVE], ["declined", "not_found"], []),
    ],
)
def test_of_approve_and_decline_exactly_one_wins(
    seat: Desk, jobs: list[Any], codes: list[str], left: list[Any]
) -> None:
    seat.do(REQUEST)
    outcomes = seat.do_all(jobs)
    assert [o.code for o in outcomes] == codes
    assert [o.status for o in outcomes] == ["applied", "rejected"]
    assert overrides(seat) == left
    assert len(seat.audits()) == 2
    assert "{" not in outcomes[1].message
    assert "–" not in outcomes[1].message


def test_a_decline_tells_the_requester_and_a_second_one_finds_nothing(seat: Desk) -> None:
    seat.do(REQUEST)
    assert [seat.do(DECLINE).code for _ in range(2)] == ["declined", "missing"]
    assert [dm["to"] for dm in seat.effects("dm")] == [ANN]
    assert seat.audits() == [("overrides", "INSERT"), ("overrides", "DELETE")]
    assert seat.follow_ups() == []


def test_removing_twice_is_one_delete_and_one_notice(seat: Desk) -> None:
    row = seat.do(REQUEST).after
    seat.do(APPROVE)
    seat.forget_outbox()
    remove = RemoveOverride(id=row["id"], **SEAT)
    assert [seat.do(remove).code for _ in range(2)] == ["removed", "missing"]
    assert seat.audits()[2:] == [("overrides", "DELETE")]
    assert [dm["to"] for dm in seat.effects("dm")] == [ANN]
    assert seat.follow_ups() == [RECOMPUTE]


def test_removing_needs_the_id_and_the_contents_that_were_seen(seat: Desk) -> None:
    row = seat.do(REQUEST).after
    outcome = seat.do(RemoveOverride(id=row["id"], **{**SEAT, "replacement_slack_id": CY}))
    assert (outcome.status, outcome.code) == ("rejected", "mismatch")
    assert overrides(seat) == [(BO, False, None)]
    assert seat.do(RemoveOverride(id=row["id"], **SEAT)).code == "removed"
    assert seat.follow_ups() == []


def test_an_approval_says_when_a_newer_approved_request_still_wins(seat: Desk) -> None:
    older = {**SEAT, "requested_at": "2030-01-01T00:00:00Z"}
    seat.do(RequestOverride.model_validate(older))
    seat.do(
        RequestOverride.model_validate({**older, "replacement_slack_id": CY, "requested_at": "2030-01-01T00:00:01Z"})
    )
    newer = seat.do(ApproveOverride(**{**SEAT, "replacement_slack_id": CY}, approved_by=ADMIN))
    assert newer.after["effective"] is True
    outcome = seat.do(APPROVE)
    assert outcome.after["effective"] is False
    assert outcome.message.endswith(" A newer approved request still puts <@U0EXAMPLE03> there.")


def test_a_request_for_a_sprint_that_is_not_there_yet_waits(seat: Desk) -> None:
    with pytest.raises(MustWait) as waiting:
        seat.do(RequestOverride(**{**SEAT, "sprint_index": 4}))
    assert (waiting.value.code, waiting.value.message) == (
        "unknown_sprint",
        "There is no sprint 4, so nobody can cover PO in it.",
    )
    assert seat.audits() == []


def test_nobody_covers_for_themselves() -> None:
    with pytest.raises(ValueError, match="expected replacement_slack_id to be another person"):
        RequestOverride(**{**SEAT, "replacement_slack_id": ANN})
    with pytest.raises(ValueError, match="expected replacement_slack_id to be another person"):
        RequestOverride(**SEAT, original_slack_id=BO)
    RequestOverride(**{**SEAT, "replacement_slack_id": ANN}, original_slack_id=BO)


def test_requests_of_many_seats_in_one_batch(seat: Desk) -> None:
    jobs = [
        RequestOverride(**{**SEAT, "role": role, "requested_by": f"U{n}"})
        for n in range(3)
        for role in ("account", "po", "beEng")
    ]
    assert [o.after["role"] for o in seat.do_all(list(jobs))] == [job.role for job in jobs]
    assert len(overrides(seat)) == 9


def test_the_record_of_an_old_request_and_approval_tells_nobody_but_counts_at_once(seat: Desk) -> None:
    then = "2030-01-01T00:00:00Z"
    assert seat.do(RequestOverride.model_validate({**SEAT, "requested_at": then})).code == "created"
    approval = ApproveOverride.model_validate({**SEAT, "approved_by": ADMIN, "approved_at": then})
    assert seat.do(approval).code == "approved"
    assert (seat.effects("admins"), seat.effects("dm")) == ([], [])
    assert seat.follow_ups() == [RECOMPUTE]

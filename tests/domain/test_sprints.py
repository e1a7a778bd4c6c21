"""Sprints: an index of one's own, days that are real, an edit that is audited, an import that is whole."""

from typing import Any

import pytest

from tasks import AppendSprint, ImportSprints, UpsertSprint
from tests.domain.conftest import Desk
from worker.errors import InvalidJob
from worker.job import parse

REFRESH: tuple[str, dict[str, Any]] = ("rotation.refresh", {})


def sprint(index: int, start: str = "2030-01-02", end: str = "2030-01-15", name: str | None = None) -> UpsertSprint:
    return UpsertSprint(sprint_index=index, sprint_name=name or f"FY30 Sp{index}", start_date=start, end_date=end)  # type: ignore[arg-type]


def append(name: str, start: str = "2030-01-02", end: str = "2030-01-15") -> AppendSprint:
    return AppendSprint(sprint_name=name, start_date=start, end_date=end)  # type: ignore[arg-type]


def rows(*indices: int, name: str = "Sp") -> ImportSprints:
    return ImportSprints.model_validate(
        {
            "sprints": [
                {"sprint_index": i, "sprint_name": f"{name}{i}", "start_date": "2030-01-02", "end_date": "2030-01-15"}
                for i in indices
            ]
        }
    )


def test_an_edit_keeps_the_id_and_audits_old_new_and_reason(desk: Desk) -> None:
    added = desk.do(sprint(0))
    edited = desk.do(sprint(0, end="2030-01-16"), reason="holiday")
    assert (added.code, edited.code) == ("added", "updated")
    assert edited.after["id"] == added.after["id"]
    assert edited.before == added.after
    (audit,) = desk.rows("SELECT * FROM audit_logs WHERE operation = 'UPDATE'")
    assert (audit["old_values"]["end_date"], audit["new_values"]["end_date"]) == ("2030-01-15", "2030-01-16")
    assert (audit["table_name"], audit["reason"]) == ("sprints", "holiday")
    assert desk.follow_ups() == [REFRESH] * 2


def test_the_same_sprint_again_changes_nothing(desk: Desk) -> None:
    first, second = desk.do(sprint(0)), desk.do(sprint(0))
    assert (second.status, second.code, second.after) == ("unchanged", "already_so", first.after)
    assert desk.audits() == [("sprints", "INSERT")]
    assert desk.follow_ups() == [REFRESH]


def test_two_admins_who_append_at_once_get_consecutive_indices(desk: Desk) -> None:
    outcomes = desk.do_all([append("A"), append("B"), append("A")])
    assert [(o.code, o.after["sprint_index"]) for o in outcomes] == [
        ("appended", 0),
        ("appended", 1),
        ("already_there", 0),
    ]
    assert desk.values("SELECT sprint_name FROM sprints ORDER BY sprint_index") == ["A", "B"]
    assert outcomes[1].message == (
        "Added *B* as sprint 1, from 2030-01-02 to 2030-01-15. Mind that it overlaps A by 14 days."
    )


def test_sprints_that_share_the_day_of_the_hand_over_are_no_overlap(desk: Desk) -> None:
    desk.do(sprint(0, "2030-01-02", "2030-01-15"))
    outcome = desk.do(sprint(1, "2030-01-15", "2030-01-28"))
    assert outcome.message == "*FY30 Sp1* runs from 2030-01-15 to 2030-01-28 (sprint 1)."


def test_an_import_writes_only_what_differs(desk: Desk) -> None:
    desk.do(sprint(1, name="Sp1"))
    first, second = desk.do(rows(0, 1, 2)), desk.do(rows(0, 1, 2))
    assert (first.status, first.message) == ("applied", "Imported 3 sprints: 2 added, 0 updated.")
    assert [row["sprint_index"] for row in first.after] == [0, 2]
    assert (second.status, second.code) == ("unchanged", "already_so")
    assert desk.audits() == [("sprints", "INSERT")] * 3


def test_an_import_with_a_gap_is_refused_as_a_whole(desk: Desk) -> None:
    outcome = desk.do(rows(0, 2))
    assert (outcome.status, outcome.code) == ("rejected", "gap")
    assert outcome.message == "No sprint was imported: there is no sprint 1, and indices must have no gap."
    assert desk.values("SELECT count(*) FROM sprints") == [0]
    assert desk.follow_ups() == []
    desk.do(sprint(1))
    assert desk.do(rows(0, 2)).status == "applied"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end_date": "2030-01-02"}, "end_date: expected a day after start_date (2030-01-02), got 2030-01-02"),
        ({"end_date": "2029-12-31"}, "end_date: expected a day after start_date (2030-01-02), got 2029-12-31"),
        ({"end_date": "2026-02-30"}, "end_date: expected a real day as YYYY-MM-DD, got '2026-02-30'"),
        ({"end_date": None}, "end_date: expected a day as YYYY-MM-DD"),
        ({"sprint_index": "3"}, "sprint_index: expected a whole number from 0 to 2147483647"),
        ({"sprint_index": True}, "sprint_index: expected a whole number from 0 to 2147483647"),
        ({"sprint_index": -1}, "sprint_index: expected a whole number from 0 to 2147483647"),
        ({"sprint_name": "x" * 51}, "sprint_name: expected 1 to 50 characters, got 51"),
        ({"sprint_name": " Sp"}, "sprint_name: expected no blanks at the beginning or the end"),
    ],
)
def test_a_bad_sprint_is_refused_with_the_field_and_what_was_expected(change: dict[str, Any], said: str) -> None:
    payload = {"sprint_index": 0, "sprint_name": "Sp", "start_date": "2030-01-02", "end_date": "2030-01-15"}
    with pytest.raises(InvalidJob) as refused:
        parse("sprint.upsert", {**payload, **change})
    assert str(refused.value) == f"sprint.upsert: {said}"


def test_an_import_with_an_index_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="expected each sprint_index once, got 1 2 times"):
        rows(0, 1, 1)

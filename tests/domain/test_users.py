"""People: rows in disciplines, audited truly, never a duplicate-key error."""

import threading

import pytest

from tasks import MoveUser, RemoveUser, RenameUser, SetUserActive, SetUserDisciplines, UpsertUser
from tests.domain.conftest import Desk

ANN = "U0EXAMPLE01"


def disciplines(desk: Desk) -> list[tuple[str, str, bool]]:
    return [
        (r["discipline"], r["name"], r["active"])
        for r in desk.rows("SELECT * FROM users ORDER BY slack_id, discipline")
    ]


def add(desk: Desk, *roles: str, name: str = "Ann") -> None:
    for role in roles:
        desk.do(UpsertUser(slack_id=ANN, name=name, discipline=role))


def test_a_person_may_be_in_two_disciplines(desk: Desk) -> None:
    add(desk, "uiEng", "beEng")
    assert disciplines(desk) == [("beEng", "Ann", True), ("uiEng", "Ann", True)]
    assert desk.audits() == [("users", "INSERT")] * 2


def test_the_same_upsert_again_changes_nothing(desk: Desk) -> None:
    job = UpsertUser(slack_id=ANN, name="Ann", discipline="po")
    first, second = desk.do(job), desk.do(job)
    assert (first.status, first.code, first.message) == ("applied", "added", "Added *Ann* (<@U0EXAMPLE01>) to PO.")
    assert first.before is None
    assert first.after["name"] == "Ann"
    assert (second.status, second.code) == ("unchanged", "already_so")
    assert second.before == second.after == first.after
    assert desk.audits() == [("users", "INSERT")]


def test_an_upsert_audits_the_row_before_and_after(desk: Desk) -> None:
    add(desk, "po")
    outcome = desk.do(UpsertUser(slack_id=ANN, name="Anna", discipline="po"), reason="married")
    assert outcome.code == "updated"
    (audit,) = desk.rows("SELECT * FROM audit_logs WHERE operation = 'UPDATE'")
    assert (audit["old_values"]["name"], audit["new_values"]["name"]) == ("Ann", "Anna")
    assert (audit["changed_by"], audit["reason"], audit["record_id"]) == ("U0ADMIN", "married", outcome.after["id"])


def test_many_people_in_one_batch_each_get_their_own_answer(desk: Desk) -> None:
    add(desk, "po")
    jobs = [UpsertUser(slack_id=f"U{n:03}", name=f"N{n}", discipline="po") for n in range(50)]
    jobs.insert(20, UpsertUser(slack_id=ANN, name="Ann", discipline="po"))
    outcomes = desk.do_all(jobs)
    assert [o.code for o in outcomes] == ["added"] * 20 + ["already_so"] + ["added"] * 30
    assert [o.after["slack_id"] for o in outcomes] == [job.slack_id for job in jobs]


def test_jobs_of_one_person_in_one_batch_build_on_each_other(desk: Desk) -> None:
    outcomes = desk.do_all(
        [
            UpsertUser(slack_id=ANN, name="Ann", discipline="po"),
            UpsertUser(slack_id=ANN, name="Anna", discipline="po"),
            SetUserActive(slack_id=ANN, active=False),
            RemoveUser(slack_id=ANN, discipline="po"),
        ]
    )
    assert [o.code for o in outcomes] == ["added", "updated", "deactivated", "removed"]
    assert disciplines(desk) == []
    assert [operation for _, operation in desk.audits()] == ["INSERT", "UPDATE", "UPDATE", "DELETE"]


def test_twelve_writers_of_one_new_pair_make_one_row(desk: Desk, database_url: str) -> None:
    """Even under equal tokens: the fence's row lock lets them in one after the other."""
    desks = [Desk(database_url) for _ in range(12)]
    errors: list[Exception] = []

    def write(n: int, each: Desk) -> None:
        try:
            each.do(UpsertUser(slack_id=ANN, name="Ann", discipline="po"), job_id=f"job-{n}")
        except Exception as error:  # noqa: BLE001 - asserted below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n, each)) for n, each in enumerate(desks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in desks:
        each.connection.close()
    assert errors == []
    assert disciplines(desk) == [("po", "Ann", True)]
    assert desk.audits() == [("users", "INSERT")]


def test_an_upsert_reads_its_own_row_and_no_other_however_many_people_there_are(desk: Desk) -> None:
    desk.connection.execute(
        "INSERT INTO users (slack_id, name, discipline) SELECT 'U1' || n, 'Ann', 'po' FROM generate_series(1, 1000) n"
    )
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'users'"
    with desk.connection.transaction():
        desk.do(UpsertUser(slack_id="U15", name="Anne", discipline="po"))
        assert desk.values(read)[0] <= 3


def test_deactivating_takes_all_rows_and_re_adding_only_one(desk: Desk) -> None:
    add(desk, "po", "uiEng")
    outcome = desk.do(SetUserActive(slack_id=ANN, active=False))
    assert (outcome.status, outcome.code) == ("applied", "deactivated")
    assert [row["active"] for row in outcome.before] == [True, True]
    assert disciplines(desk) == [("po", "Ann", False), ("uiEng", "Ann", False)]
    assert desk.do(UpsertUser(slack_id=ANN, name="Ann", discipline="po")).code == "reactivated"
    assert disciplines(desk) == [("po", "Ann", True), ("uiEng", "Ann", False)]


@pytest.mark.parametrize("active", [True, False])
def test_deactivate_and_add_elsewhere_have_one_of_the_two_serial_outcomes(desk: Desk, *, active: bool) -> None:
    """In the order of the lane: whoever comes last decides for what it touches."""
    add(desk, "account")
    deactivate, elsewhere = (
        SetUserActive(slack_id=ANN, active=False),
        UpsertUser(slack_id=ANN, name="Ann", discipline="po"),
    )
    desk.do_all([deactivate, elsewhere] if active else [elsewhere, deactivate])
    assert disciplines(desk) == [("account", "Ann", False), ("po", "Ann", active)]


def test_an_import_keeps_the_activity_of_a_row_that_is_there(desk: Desk) -> None:
    add(desk, "po")
    desk.do(SetUserActive(slack_id=ANN, active=False))
    desk.do(UpsertUser(slack_id=ANN, name="Anna", discipline="po", active=None))
    desk.do(UpsertUser(slack_id=ANN, name="Anna", discipline="beEng", active=None))
    desk.do(UpsertUser(slack_id=ANN, name="Anna", discipline="uiEng", active=False))
    assert disciplines(desk) == [("beEng", "Anna", True), ("po", "Anna", False), ("uiEng", "Anna", False)]


def test_an_unknown_person_is_a_business_no(desk: Desk) -> None:
    for job in (
        SetUserActive(slack_id=ANN, active=False),
        RenameUser(slack_id=ANN, name="Ann"),
        MoveUser(slack_id=ANN, to="po"),
    ):
        outcome = desk.do(job)
        assert (outcome.status, outcome.code) == ("rejected", "unknown_user")
        assert outcome.message == "<@U0EXAMPLE01> is in no discipline; add them first."
    assert desk.audits() == []


def test_deactivating_somebody_on_duty_tells_the_admins_and_leaves_the_state(desk: Desk) -> None:
    add(desk, "po")
    desk.connection.execute("UPDATE current_state SET po_slack_id = %s, ui_eng_slack_id = %s", (ANN, ANN))
    outcome = desk.do(SetUserActive(slack_id=ANN, active=False))
    assert outcome.message.endswith("They are still on triage duty as PO and UI Engineering until that is changed.")
    assert [e["text"] for e in desk.effects("admins")] == [
        "<@U0EXAMPLE01> was deactivated and is still on triage duty as PO and UI Engineering."
    ]
    assert desk.state()["po"] == ANN
    assert desk.do(SetUserActive(slack_id=ANN, active=False)).code == "already_so"
    assert len(desk.effects("admins")) == 1


def test_renaming_takes_all_rows(desk: Desk) -> None:
    add(desk, "po", "beEng")
    assert desk.do(RenameUser(slack_id=ANN, name="Anna")).code == "renamed"
    assert disciplines(desk) == [("beEng", "Anna", True), ("po", "Anna", True)]
    assert desk.do(RenameUser(slack_id=ANN, name="Anna")).status == "unchanged"


def test_moving_two_rows_onto_one_of_them_deletes_the_other(desk: Desk) -> None:
    add(desk, "uiEng", "beEng")
    outcome = desk.do(MoveUser(slack_id=ANN, to="uiEng"))
    assert (outcome.status, outcome.code) == ("applied", "moved")
    assert disciplines(desk) == [("uiEng", "Ann", True)]
    assert desk.audits()[2:] == [("users", "DELETE")]
    assert desk.do(MoveUser(slack_id=ANN, to="uiEng")).code == "already_so"


def test_moving_from_one_discipline_leaves_the_others_and_merges_activity(desk: Desk) -> None:
    add(desk, "po", "uiEng", "beEng")
    desk.connection.execute("UPDATE users SET active = false WHERE discipline = 'beEng'")
    desk.do(MoveUser.model_validate({"slack_id": ANN, "to": "beEng", "from": "uiEng"}))
    assert disciplines(desk) == [("beEng", "Ann", True), ("po", "Ann", True)]
    assert desk.audits()[3:] == [("users", "DELETE"), ("users", "UPDATE")]
    assert desk.do(MoveUser.model_validate({"slack_id": ANN, "to": "account", "from": "uiEng"})).code == "unknown_user"


def test_setting_disciplines_makes_exactly_that_list(desk: Desk) -> None:
    add(desk, "po", "uiEng")
    outcome = desk.do(SetUserDisciplines(slack_id=ANN, name="Anna", disciplines=("beEng", "po")))
    assert outcome.message == "*Anna* (<@U0EXAMPLE01>) is now in PO, BE Engineering."
    assert disciplines(desk) == [("beEng", "Anna", True), ("po", "Anna", True)]
    assert sorted(operation for _, operation in desk.audits()[2:]) == ["DELETE", "INSERT", "UPDATE"]


def test_removing_twice_is_one_delete(desk: Desk) -> None:
    add(desk, "po", "beEng")
    assert [desk.do(RemoveUser(slack_id=ANN, discipline="po")).code for _ in range(2)] == ["removed", "missing"]
    assert desk.audits()[2:] == [("users", "DELETE")]
    assert disciplines(desk) == [("beEng", "Ann", True)]


def test_copies_follow_a_change_once_for_the_batch_and_never_a_repeat(desk: Desk) -> None:
    desk.context["copies"] = {"users": [{"kind": "export.json", "payload": {"file": "disciplines"}}]}
    jobs = [UpsertUser(slack_id=f"U{n}", name="Bo", discipline="po") for n in range(5)]
    desk.do_all(jobs)
    assert desk.follow_ups() == [("export.json", {"file": "disciplines"})]
    desk.do_all(jobs)
    desk.do(RenameUser(slack_id="U1", name="Bo"))
    assert len(desk.follow_ups()) == 1
    desk.do(RenameUser(slack_id="U1", name="Bob"))
    assert len(desk.follow_ups()) == 2

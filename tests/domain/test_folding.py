"""A kind that folds answers for many jobs of one lane as if it had applied them one by one."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import RenameUser, UpsertUser
from tests.domain.conftest import Desk
from worker import Job, Outcome

ONE_BY_ONE, TOGETHER = "UONE", "UALL"
CHANGING = {"id", "slack_id", "created_at", "updated_at"}

jobs_of_one_person = st.lists(
    st.one_of(
        st.tuples(
            st.just("upsert"),
            st.sampled_from(["Ann", "Bo"]),
            st.sampled_from(["po", "uiEng"]),
            st.sampled_from([True, False, None]),
        ),
        st.tuples(st.just("rename"), st.sampled_from(["Ann", "Cy"])),
    ),
    min_size=1,
    max_size=8,
)


def made(spec: tuple[Any, ...], slack_id: str) -> Job:
    if spec[0] == "rename":
        return RenameUser(slack_id=slack_id, name=spec[1])
    return UpsertUser(slack_id=slack_id, name=spec[1], discipline=spec[2], active=spec[3])


def without_identity(row: Any) -> Any:
    if isinstance(row, list):
        return [without_identity(each) for each in row]
    return row and {name: value for name, value in row.items() if name not in CHANGING}


def story(outcomes: list[Outcome]) -> list[tuple[Any, ...]]:
    return [(o.status, o.code, without_identity(o.before), without_identity(o.after)) for o in outcomes]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=jobs_of_one_person, jobs=jobs_of_one_person)
def test_one_batch_tells_the_same_story_as_one_job_after_the_other(
    desk: Desk, before: list[tuple[Any, ...]], jobs: list[tuple[Any, ...]]
) -> None:
    desk.connection.execute("TRUNCATE users, audit_logs RESTART IDENTITY")
    for person in (ONE_BY_ONE, TOGETHER):
        for spec in before:
            desk.do(made(spec, person))
    desk.connection.execute("TRUNCATE audit_logs")
    singly = [desk.do(made(spec, ONE_BY_ONE)) for spec in jobs]
    together = desk.do_all([made(spec, TOGETHER) for spec in jobs])
    assert story(together) == story(singly)
    assert audits(desk, TOGETHER) == audits(desk, ONE_BY_ONE)
    assert rows(desk, TOGETHER) == rows(desk, ONE_BY_ONE)


def audits(desk: Desk, person: str) -> list[tuple[Any, ...]]:
    found = desk.rows(
        "SELECT operation, old_values, new_values FROM audit_logs"
        " WHERE coalesce(new_values, old_values) ->> 'slack_id' = %s ORDER BY id",
        person,
    )
    return [(a["operation"], without_identity(a["old_values"]), without_identity(a["new_values"])) for a in found]


def rows(desk: Desk, person: str) -> list[Any]:
    return desk.rows("SELECT name, discipline, active FROM users WHERE slack_id = %s ORDER BY discipline", person)


def test_the_stamps_of_a_row_stay_true_through_a_fold(desk: Desk) -> None:
    """Until the first job that changes it, a row is told of as it was, with its old `updated_at`."""
    (added,) = desk.do_all([UpsertUser(slack_id="U1", name="Ann", discipline="po")])
    same, changed, again = desk.do_all(
        [UpsertUser(slack_id="U1", name=name, discipline="po") for name in ("Ann", "Bo", "Cy")]
    )
    assert same.after == same.before == changed.before == added.after
    assert changed.after["updated_at"] > added.after["updated_at"]
    assert again.before == changed.after
    assert {name: again.after[name] for name in CHANGING} == {name: changed.after[name] for name in CHANGING}
    assert desk.values("SELECT to_jsonb(u) FROM users u") == [again.after]

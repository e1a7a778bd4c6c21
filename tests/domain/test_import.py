"""`onelane import`: good rows become jobs, bad ones are named, a second run changes nothing, and newer data stays."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tasks import ApproveOverride, ImportSprints, RequestOverride, UpsertUser
from tasks.bot_files import File
from tasks.import_plan import Plan, plan
from tasks.mirror import Mirror
from tasks.mirror_source import current
from tests.domain.live import Live
from worker import Job

ANN, BO, CY = "U0EXAMPLE01", "U0EXAMPLE02", "U0EXAMPLE03"
PEOPLE = {
    "po": [
        {"name": "Ann", "slackId": ANN},
        {"name": "Bo", "slackId": BO, "active": False},
        {"name": "Cy", "slackId": CY, "active": True},
    ],
    "uiEng": [{"name": "Cy", "slackId": CY}],
}


def day(offset: int) -> str:
    return f"{datetime.now(UTC).date() + timedelta(days=offset):%Y-%m-%d}"


def sprint(name: str, first: int = -20, last: int = -10, **more: Any) -> dict[str, Any]:
    return {"sprintName": name, "startDate": day(first), "endDate": day(last), **more}


def override(sprint_index: Any = 0, **more: Any) -> dict[str, Any]:
    asked = {"sprintIndex": sprint_index, "role": "po", "newSlackId": BO, "newName": "Bo", "requestedBy": ANN}
    return {**asked, "approved": False, "timestamp": "2030-01-03T10:00:00.000Z", **more}


APPROVED = {"approved": True, "approvedBy": "U0EXAMPLE09", "approvalTimestamp": "2030-01-04T10:00:00.000Z"}


def write(directory: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{name.replace('_staging', '.staging')}.json").write_text(text)
    return directory


def planned(directory: Path, *, staging: bool = False, there: tuple[int, ...] = (), **files: Any) -> Plan:
    """The plan for these files; `there` are the sprints that the database has."""
    return plan(write(directory, **files), staging=staging, sprints=there, actor="importer")


def jobs(made: Plan) -> list[Job]:
    return [each.job for each in made.jobs]


def test_people_become_upserts_that_never_make_anybody_active_again(tmp_path: Path) -> None:
    made = planned(tmp_path, disciplines=PEOPLE)
    assert jobs(made) == [
        UpsertUser(slack_id=ANN, name="Ann", discipline="po", active=None),
        UpsertUser(slack_id=BO, name="Bo", discipline="po", active=False),
        UpsertUser(slack_id=CY, name="Cy", discipline="po", active=None),
        UpsertUser(slack_id=CY, name="Cy", discipline="uiEng", active=None),
    ]
    assert (made.rows, made.problems) == ({"disciplines.json": 4}, [])
    assert made.notes == [f"{name}.json was not found." for name in ("sprints", "overrides", "currentState")]


def test_bad_people_are_named_by_file_list_and_row_in_the_files_own_words(tmp_path: Path) -> None:
    people = {
        "po": [
            {"name": " Ann", "slackId": ANN},
            {"name": "Bo"},
            "Cy",
            {"name": "Cy", "slackId": CY},
            {"name": "Cyd", "slackId": CY},
        ],
        "qa": [{"name": "Dee", "slackId": "U4"}] * 2,
    }
    made = planned(tmp_path, disciplines=people)
    assert jobs(made) == [UpsertUser(slack_id=CY, name="Cy", discipline="po", active=None)]
    assert made.problems == [
        "disciplines.json, po, row 3: expected an object.",
        "disciplines.json: 'qa' is no discipline; 2 people are left out.",
        "disciplines.json, po, row 1: name: expected no blanks at the beginning or the end",
        "disciplines.json, po, row 2: slackId: Field required",
        f"disciplines.json, po, row 5: {CY} stands in row 4 already.",
    ]


def test_in_staging_the_staging_file_is_read_if_there_is_one(tmp_path: Path) -> None:
    first = planned(tmp_path, staging=True, disciplines=PEOPLE)
    assert first.rows == {"disciplines.json": 4}
    assert planned(tmp_path, staging=True, disciplines_staging={"po": []}).rows == {"disciplines.staging.json": 0}
    assert planned(tmp_path).rows == {"disciplines.json": 4}


def indices(made: Plan) -> list[list[int]]:
    return [[s.sprint_index for s in job.sprints] for job in jobs(made) if isinstance(job, ImportSprints)]


def test_a_sprint_without_an_index_has_that_of_its_position(tmp_path: Path) -> None:
    made = planned(tmp_path, sprints=[sprint("A"), sprint("B", sprintIndex=None), sprint("C", sprintIndex=2)])
    assert indices(made) == [[0, 1, 2]]
    assert made.problems == []


def test_a_mixed_file_that_yields_one_index_twice_is_refused_as_a_whole(tmp_path: Path) -> None:
    made = planned(tmp_path, sprints=[sprint("A"), sprint("B"), sprint("C", sprintIndex=1)])
    assert jobs(made) == []
    assert made.problems == ["sprints.json: rows 2 and 3 both are sprint 1, so nothing of it is imported."]


def test_days_must_be_real_and_a_bad_sprint_holds_back_those_behind_it(tmp_path: Path) -> None:
    bad = {"sprintName": "C", "startDate": "2026-02-01", "endDate": "2026-02-30"}
    rows = [sprint("A"), sprint("B"), bad, sprint("D"), sprint("E")]
    made = planned(tmp_path, sprints=rows, overrides=[override(1), override(3)])
    assert indices(made) == [[0, 1]]
    assert made.problems == [
        "sprints.json, row 3: endDate: expected a real day as YYYY-MM-DD, got '2026-02-30'",
        "sprints.json: there is no sprint 2, so sprints 3 to 4 are left out; indices must have no gap.",
        "overrides.json, row 2: there is no sprint 3.",
    ]
    assert indices(planned(tmp_path, there=(2,))) == [[0, 1, 3, 4]]


def test_an_end_before_the_start_is_named_in_the_files_own_words(tmp_path: Path) -> None:
    made = planned(tmp_path, sprints=[{"sprintName": "A", "startDate": "2026-02-03", "endDate": "2026-02-03"}])
    assert made.problems == [
        "sprints.json, row 1: endDate: expected a day after startDate (2026-02-03), got 2026-02-03"
    ]


@pytest.mark.parametrize("end", [None, "", "soon", "2026-2-3", 7])
def test_an_end_that_is_no_day_is_named(tmp_path: Path, end: Any) -> None:
    made = planned(tmp_path, sprints=[{"sprintName": "A", "startDate": "2026-02-01", "endDate": end}])
    assert jobs(made) == []
    assert made.problems[0].startswith("sprints.json, row 1: endDate: expected a")


def test_many_sprints_go_in_chunks(tmp_path: Path) -> None:
    made = planned(tmp_path, sprints=[sprint("\N{GRINNING FACE}" * 50) for _ in range(250)])
    assert [(chunk[0], chunk[-1]) for chunk in indices(made)] == [(0, 99), (100, 199), (200, 249)]
    assert [each.where for each in made.sprints][2] == "sprints.json, sprints 200 to 249"


def test_requests_keep_their_time_and_an_approval_follows_its_request(tmp_path: Path) -> None:
    made = planned(tmp_path, there=(0,), overrides=[override(originalSlackId=CY, **APPROVED)])
    seat = {"sprint_index": 0, "role": "po", "requested_by": ANN, "replacement_slack_id": BO}
    assert jobs(made) == [
        RequestOverride.model_validate(
            {
                **seat,
                "replacement_name": "Bo",
                "original_slack_id": CY,
                "requested_at": "2030-01-03T10:00:00.000Z",
            }
        ),
        ApproveOverride.model_validate(
            {**seat, "approved_by": "U0EXAMPLE09", "approved_at": "2030-01-04T10:00:00.000Z"}
        ),
    ]


@pytest.mark.parametrize("approved_at", [0, 1, 2])
def test_of_equal_requests_the_approved_one_wins_wherever_it_stands(tmp_path: Path, approved_at: int) -> None:
    rows = [override(timestamp=f"2030-01-0{n}T00:00:00Z") for n in (1, 2, 3)]
    rows[approved_at].update(APPROVED)
    made = planned(tmp_path, there=(0,), overrides=rows)
    assert [job.kind for job in jobs(made)] == ["override.request", "override.approve"]
    assert jobs(made)[0].requested_at == datetime(2030, 1, approved_at + 1, tzinfo=UTC)  # type: ignore[attr-defined]
    assert made.problems == []


@pytest.mark.parametrize("turn", [1, -1])
def test_requests_go_oldest_first_whichever_way_the_file_is_sorted(tmp_path: Path, turn: int) -> None:
    """Two of one moment keep the file's order, which the database then tells by their ids."""
    times = ["2030-01-01", "2030-01-02", "2030-01-02", "2030-01-03"]
    rows = [override(newSlackId=f"U{n}", timestamp=f"{at}T00:00:00Z") for n, at in enumerate(times)]
    made = planned(tmp_path, there=(0,), overrides=rows[::turn])
    assert [job.replacement_slack_id for job in jobs(made)] == ["U0", "U1", "U2", "U3"]  # type: ignore[attr-defined]


def test_an_approval_of_nobody_counts_as_the_importers_at_the_time_of_the_request(tmp_path: Path) -> None:
    made = planned(tmp_path, there=(0,), overrides=[override(approved=True)])
    approval = jobs(made)[1]
    assert isinstance(approval, ApproveOverride)
    assert (approval.approved_by, approval.approved_at) == ("importer", datetime(2030, 1, 3, 10, tzinfo=UTC))


def test_overrides_that_can_not_be_are_named(tmp_path: Path) -> None:
    made = planned(
        tmp_path,
        there=(0,),
        overrides=[override(None), override(7), override(role="qa"), override(newSlackId=ANN), override("0"), 5],
    )
    assert jobs(made) == []
    whole = "expected a whole number from 0 to 2147483647"
    assert made.problems == [
        "overrides.json, row 6: expected an object.",
        f"overrides.json, row 1: sprintIndex: {whole}",
        "overrides.json, row 3: role: Input should be 'account', 'producer', 'po', 'uiEng' or 'beEng'",
        "overrides.json, row 4: expected newSlackId to be another person than the one to be covered",
        f"overrides.json, row 5: sprintIndex: {whole}",
        "overrides.json, row 2: there is no sprint 7.",
    ]


def test_files_of_another_form_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    made = planned(tmp_path, disciplines=PEOPLE, sprints="[{", overrides={"a": 1}, currentState=[1])
    assert len(jobs(made)) == 4
    assert made.problems == [
        "sprints.json is no JSON: EOF while parsing an object at line 1 column 2. Nothing of it is imported.",
        "overrides.json: expected a list. Nothing of it is imported.",
        "currentState.json: expected an object. Nothing of it is imported.",
    ]


def test_a_state_of_nobody_or_of_no_sprint_is_passed_over_and_a_bad_one_named(tmp_path: Path) -> None:
    for state in ({"sprintIndex": 0, "po": None}, {"sprintIndex": None, "po": ANN}):
        made = planned(tmp_path, currentState=state)
        assert (made.state, made.problems) == (None, [])
        assert "currentState.json says of nobody that they are on duty." in made.notes
    made = planned(tmp_path, currentState={"sprintIndex": 0, "po": 3})
    assert made.problems == ["currentState.json, row 1: po: Input should be a valid string"]


def test_the_id_is_made_of_the_content(tmp_path: Path) -> None:
    first, again = planned(tmp_path, disciplines=PEOPLE), planned(tmp_path)
    assert [each.id for each in first.jobs] == [each.id for each in again.jobs]
    assert len({each.id for each in first.jobs}) == 4
    other = planned(tmp_path, disciplines={**PEOPLE, "uiEng": [{"name": "Cyd", "slackId": CY}]})
    assert [each.id for each in other.jobs][:3] == [each.id for each in first.jobs][:3]
    assert other.jobs[3].id != first.jobs[3].id


@pytest.fixture
def live(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Iterator[Live]:
    """Services, and no worker yet."""
    opened = Live(redis_url, database_url, prefix, tmp_path)
    yield opened
    opened.close()


def rows(live: Live, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(live.client.settings.database_url, row_factory=dict_row) as connection:
        return connection.execute(query).fetchall()


def state(live: Live) -> tuple[Any, ...]:
    (row,) = rows(live, "SELECT * FROM current_state")
    return row["sprint_index"], row["account_slack_id"], row["po_slack_id"], row["ui_eng_slack_id"]


def imported(live: Live, directory: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = live.command("import", str(directory), "--json", "--actor", "U0ADMIN", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def everything(directory: Path) -> Path:
    """Files of a schedule in which sprint 1 runs today; somebody was put on duty by hand."""
    directory.mkdir()
    return write(
        directory,
        disciplines=PEOPLE,
        sprints=[sprint("Sp1"), sprint("Sp2", -5, 5), sprint("Sp3", 6, 15)],
        overrides=[override(1, newSlackId=BO, timestamp=f"{day(-30)}T10:00:00.000Z", **APPROVED), override(2)],
        currentState={"sprintIndex": 1, "account": "U0BYHAND", "producer": None, "po": BO, "uiEng": CY, "beEng": None},
    )


def test_everything_is_imported_and_a_second_run_finds_it_done(live: Live, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    for _ in range(2):
        live.start()
    code, first = imported(live, files)
    assert (code, first["problems"], first["notes"]) == (0, [], [])
    assert first["rows"] == {"disciplines.json": 4, "sprints.json": 3, "overrides.json": 2, "currentState.json": 1}
    assert first["rejected"] == first["dead"] == first["duplicates"] == first["refused"] == 0
    assert [(r["slack_id"], r["discipline"], r["active"]) for r in rows(live, "SELECT * FROM users ORDER BY 4, 2")] == [
        *((ANN, "po", True), (BO, "po", False), (CY, "po", True), (CY, "uiEng", True))
    ]
    assert [r["sprint_name"] for r in rows(live, "SELECT * FROM sprints ORDER BY sprint_index")] == [
        "Sp1",
        "Sp2",
        "Sp3",
    ]
    approved, pending = rows(live, "SELECT * FROM overrides ORDER BY sprint_index")
    assert (approved["approved"], approved["approved_by"]) == (True, "U0EXAMPLE09")
    assert str(approved["approval_timestamp"]) == "2030-01-04 10:00:00"
    assert (pending["approved"], str(pending["created_at"])) == (False, "2030-01-03 10:00:00")
    assert state(live) == (1, "U0BYHAND", BO, CY)
    live.await_quiet()

    before = rows(live, "SELECT count(*) AS n FROM audit_logs")
    code, second = imported(live, files)
    assert (code, second["enqueued"], second["problems"]) == (0, 0, [])
    assert second["duplicates"] == 9
    live.await_quiet()
    assert rows(live, "SELECT count(*) AS n FROM audit_logs") == before


def test_an_import_never_harms_what_is_newer(live: Live, tmp_path: Path) -> None:
    """Somebody was deactivated, an approval stands, and the people on duty were set by hand, all after the files."""
    files = everything(tmp_path / "files")
    live.start()
    assert imported(live, files)[1]["problems"] == []
    live.await_quiet()
    with psycopg.connect(live.client.settings.database_url, autocommit=True) as connection:
        connection.execute("UPDATE users SET active = false WHERE slack_id = %s", [CY])
        connection.execute("UPDATE current_state SET po_slack_id = 'U0NEWER'")
        connection.execute(
            "INSERT INTO audit_logs (table_name, operation, changed_by, reason)"
            " VALUES ('current_state', 'UPDATE', 'U0ADMIN', 'swap')"
        )
    people = {**PEOPLE, "po": [*PEOPLE["po"][:2], {"name": "Cyd", "slackId": CY, "active": True}]}
    write(files, disciplines=people, overrides=[override(1, newSlackId=BO, timestamp=f"{day(-1)}T10:00:00.000Z")])
    write(files, currentState={"sprintIndex": 1, "po": ANN})
    code, answer = imported(live, files)
    assert (code, answer["problems"]) == (0, [])
    assert answer["notes"] == ["currentState.json is passed over: who is on duty was set by hand since."]
    (cyd,) = rows(live, "SELECT * FROM users WHERE discipline = 'po' AND slack_id = 'U0EXAMPLE03'")
    assert (cyd["name"], cyd["active"]) == ("Cyd", False)
    (kept,) = rows(live, "SELECT * FROM overrides WHERE sprint_index = 1")
    assert (kept["approved"], kept["approved_by"]) == (True, "U0EXAMPLE09")
    assert state(live)[2] == "U0NEWER"


def test_a_state_of_another_sprint_than_the_calendars_is_passed_over(live: Live, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    write(files, currentState={"sprintIndex": 0, "po": ANN})
    live.start()
    code, answer = imported(live, files)
    assert (code, answer["problems"]) == (0, [])
    assert answer["notes"] == [
        "currentState.json is passed over: it is of sprint 0, and by the calendar sprint 1 runs."
    ]
    assert state(live)[0] == 1


def test_between_sprints_the_state_is_imported_as_the_bot_would_keep_it(live: Live, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    files = write(
        tmp_path / "files", disciplines=PEOPLE, sprints=[sprint("Sp1")], currentState={"sprintIndex": 0, "po": CY}
    )
    live.start()
    code, answer = imported(live, files)
    assert (code, answer["problems"]) == (0, [])
    assert state(live) == (0, None, CY, None)


def test_bad_rows_are_named_on_stderr_and_the_good_ones_go(live: Live, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    write(files, disciplines={"po": [*PEOPLE["po"], {"name": "x" * 101, "slackId": "U9"}]})
    (files / "overrides.json").unlink()
    live.start()
    done = live.command("import", str(files))
    assert done.returncode == 1
    assert done.stderr == "disciplines.json, po, row 4: name: expected 1 to 100 characters, got 101\n"
    assert "overrides.json was not found.\n" in done.stdout
    assert len(rows(live, "SELECT * FROM users")) == 3


def test_a_dry_run_says_what_would_be_and_queues_nothing(live: Live, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    code, answer = imported(live, files, "--dry-run")
    assert (code, answer["dry_run"], answer["jobs"], answer["duplicates"]) == (0, True, 8, 0)
    assert live.client.redis.hlen(live.client.keys.named("pending")) == 0


def test_without_a_worker_it_stops_before_what_needs_others_and_the_next_run_goes_on(
    live: Live, tmp_path: Path
) -> None:
    files = everything(tmp_path / "files")
    code, answer = imported(live, files)
    assert (code, answer["enqueued"]) == (1, 4)
    (sentence,) = answer["problems"]
    assert sentence.startswith("No job has ended for 10 s; 4 are handed in, and what needs them is not.")
    live.start()
    code, answer = imported(live, files)
    assert (code, answer["problems"]) == (0, [])
    assert state(live) == (1, "U0BYHAND", BO, CY)


def test_what_the_mirror_writes_can_be_imported_and_comes_out_the_same(live: Live, tmp_path: Path) -> None:
    files = everything(tmp_path / "files")
    write(files, currentState={"sprintIndex": 1, "po": CY, "uiEng": CY})
    live.start()
    assert imported(live, files)[1]["problems"] == []
    live.await_quiet()
    (tmp_path / "mirror").mkdir()
    kept: dict[File, Any] = {}
    with psycopg.connect(live.client.settings.database_url) as connection:
        for file in ("disciplines", "sprints", "overrides", "currentState"):
            kept[file] = current(connection, file)
            Mirror(tmp_path / "mirror", staging=False).write(file, lambda file=file: kept[file])  # type: ignore[misc]
        connection.execute("TRUNCATE users, sprints, overrides, current_state, onelane.ledger, audit_logs")
        connection.execute("INSERT INTO current_state (id) VALUES (1)")
    live.client.redis.delete(*live.client.redis.keys(live.client.keys.named("outcome", outcome="*")))
    code, answer = imported(live, tmp_path / "mirror")
    assert (code, answer["problems"]) == (0, [])
    with psycopg.connect(live.client.settings.database_url) as connection:
        assert {file: current(connection, file) for file in kept} == kept


def test_no_services_and_no_directory_are_one_sentence(live: Live, tmp_path: Path) -> None:
    missing = live.command("import", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "'DIR'" in missing.stderr
    live.environment["ONELANE_DATABASE_URL"] = "postgresql://nobody:s3cret@127.0.0.1:1/none"
    away = live.command("import", str(tmp_path))
    assert away.returncode == 2
    assert away.stderr.startswith("PostgreSQL (none at 127.0.0.1) can't be used: ")
    assert "s3cret" not in away.stderr

"""Exports: the bot's own formats, committed data alone, whole files, and a broken directory that harms nobody else."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tasks import ApproveOverride, ExportFile, RequestOverride, SetUserActive, UpsertSprint, UpsertUser
from tasks.bot_files import BadFile, File, content_of
from tasks.mirror import Mirror, MirrorFault
from tasks.mirror_source import current
from tasks.settings import triage_settings
from tests.domain.conftest import Desk
from tests.domain.live import ROOT, Live, eventually
from worker import Outcome

ANN, BO, CY = "U0EXAMPLE01", "U0EXAMPLE02", "U0EXAMPLE03"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory that the settings name as the mirror."""
    directory = tmp_path / "mirror"
    directory.mkdir()
    monkeypatch.setenv("TRIAGE_MIRROR_DIR", str(directory))
    triage_settings.cache_clear()
    yield directory
    triage_settings.cache_clear()


def export(desk: Desk, file: File) -> Outcome:
    return desk.do(ExportFile(file=file), actor="onelane")


def said(mirror: Path, name: str) -> Any:
    return json.loads((mirror / name).read_text())


def sprint(index: int, start: str = "2030-01-02", end: str = "2030-01-15") -> UpsertSprint:
    return UpsertSprint(sprint_index=index, sprint_name=f"FY30 Sp{index + 1}", start_date=start, end_date=end)  # type: ignore[arg-type]


def person(slack_id: str, name: str, discipline: Any = "po") -> UpsertUser:
    return UpsertUser(slack_id=slack_id, name=name, discipline=discipline)


def request(day: int, replacement: str = BO, index: int = 0) -> RequestOverride:
    return RequestOverride.model_validate(
        {
            "sprint_index": index,
            "role": "po",
            "requested_by": ANN,
            "replacement_slack_id": replacement,
            "replacement_name": "Bo",
            "requested_at": f"2030-01-{day:02}T10:00:00.123456Z",
        }
    )


def test_people_stand_in_the_order_of_the_rotation_in_all_five_roles(desk: Desk, mirror: Path) -> None:
    desk.do_all([person(CY, "Cy"), person(BO, "Bo"), person(ANN, "Ann"), person(CY, "Cy", "uiEng")])
    desk.do(SetUserActive(slack_id=ANN, active=False))
    outcome = export(desk, "disciplines")
    assert (outcome.status, outcome.code) == ("applied", "written")
    assert outcome.message == "disciplines.json is up to date (4 rows)."
    cy = {"name": "Cy", "slackId": CY, "active": True}
    assert said(mirror, "disciplines.json") == {
        "account": [],
        "producer": [],
        "po": [{"name": "Ann", "slackId": ANN, "active": False}, {"name": "Bo", "slackId": BO, "active": True}, cy],
        "uiEng": [cy],
        "beEng": [],
    }


def test_sprint_i_stands_at_position_i_and_a_missing_one_has_no_days(desk: Desk, mirror: Path) -> None:
    desk.do_all([sprint(3, "2030-02-01", "2030-02-14"), sprint(0), sprint(1, "2030-01-15", "2030-01-31")])
    export(desk, "sprints")
    assert (mirror / "sprints.json").read_text() == (
        '[\n  {\n    "sprintName": "FY30 Sp1",\n    "startDate": "2030-01-02",\n    "endDate": "2030-01-15",\n'
        '    "sprintIndex": 0\n  },\n  {\n    "sprintName": "FY30 Sp2",\n    "startDate": "2030-01-15",\n'
        '    "endDate": "2030-01-31",\n    "sprintIndex": 1\n  },\n  {\n    "sprintName": "(no sprint 2)",\n'
        '    "startDate": null,\n    "endDate": null,\n    "sprintIndex": 2\n  },\n  {\n    "sprintName": "FY30 Sp4",\n'
        '    "startDate": "2030-02-01",\n    "endDate": "2030-02-14",\n    "sprintIndex": 3\n  }\n]\n'
    )


def test_a_sprint_far_behind_the_others_is_refused_rather_than_written_with_a_million_gaps() -> None:
    row = {"sprint_index": 1_000_000, "sprint_name": "Sp", "start_date": None, "end_date": None}
    with pytest.raises(BadFile) as refused:
        content_of("sprints", [row])
    assert str(refused.value) == "sprints.json can't be written: of the sprints 0 to 1000000 only 1 exist."


def test_overrides_stand_newest_first_and_the_later_of_two_equally_old_ones_before_the_other(
    desk: Desk, mirror: Path
) -> None:
    desk.do(sprint(0))
    for day, replacement in ((3, BO), (5, CY), (3, "U0EXAMPLE04")):
        desk.do(request(day, replacement))
    approval = request(5, CY).model_dump(include={"sprint_index", "role", "requested_by", "replacement_slack_id"})
    desk.do(ApproveOverride.model_validate({**approval, "approved_by": "U9", "approved_at": "2030-01-06T00:00:00Z"}))
    export(desk, "overrides")
    pending = {"sprintIndex": 0, "role": "po", "newName": "Bo", "requestedBy": ANN, "approved": False}
    assert said(mirror, "overrides.json") == [
        {
            **pending,
            "newSlackId": CY,
            "approved": True,
            "timestamp": "2030-01-05T10:00:00.123Z",
            "approvedBy": "U9",
            "approvalTimestamp": "2030-01-06T00:00:00.000Z",
        },
        {**pending, "newSlackId": "U0EXAMPLE04", "timestamp": "2030-01-03T10:00:00.123Z"},
        {**pending, "newSlackId": BO, "timestamp": "2030-01-03T10:00:00.123Z"},
    ]
    assert list(said(mirror, "overrides.json")[1]) == [
        *("sprintIndex", "role", "newSlackId", "newName", "requestedBy", "approved", "timestamp")
    ]


def test_the_state_has_its_sprint_and_all_roles(desk: Desk, mirror: Path) -> None:
    nobody = {"account": None, "producer": None, "po": None, "uiEng": None, "beEng": None}
    export(desk, "currentState")
    assert said(mirror, "currentState.json") == {"sprintIndex": None, **nobody}
    desk.do(sprint(0))
    desk.connection.execute("UPDATE current_state SET sprint_index = 0, ui_eng_slack_id = %s", [ANN])
    export(desk, "currentState")
    assert said(mirror, "currentState.json") == {"sprintIndex": 0, **nobody, "uiEng": ANN}


def test_in_staging_people_go_into_the_file_that_the_bot_reads_there(
    desk: Desk, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_STAGING", "true")
    triage_settings.cache_clear()
    export(desk, "disciplines")
    export(desk, "sprints")
    assert sorted(path.name for path in mirror.iterdir()) == ["disciplines.staging.json", "sprints.json"]


def test_without_a_mirror_nothing_is_written_and_no_export_follows_a_change(desk: Desk) -> None:
    triage_settings.cache_clear()
    outcome = export(desk, "sprints")
    assert (outcome.status, outcome.code) == ("unchanged", "off")
    assert not any(triage_settings().copies.values())


@pytest.mark.usefixtures("mirror")
def test_with_a_mirror_each_table_has_its_export() -> None:
    assert triage_settings().copies == {
        table: [{"kind": "export.json", "payload": {"file": file}}]
        for table, file in (
            ("users", "disciplines"),
            ("sprints", "sprints"),
            ("overrides", "overrides"),
            ("state", "currentState"),
        )
    }


def test_equal_exports_that_wait_are_done_as_one(desk: Desk, mirror: Path) -> None:
    outcomes = desk.do_all([ExportFile(file="sprints")] * 3 + [ExportFile(file="overrides")])
    assert [outcome.code for outcome in outcomes] == ["written", "merged", "merged", "written"]
    assert sorted(path.name for path in mirror.iterdir()) == ["overrides.json", "sprints.json"]


def test_what_the_batch_itself_has_not_committed_is_not_exported(desk: Desk, mirror: Path) -> None:
    desk.do(person(ANN, "Ann"))
    desk.do_all([person(BO, "Bo"), ExportFile(file="disciplines")])
    assert [row["name"] for row in said(mirror, "disciplines.json")["po"]] == ["Ann"]
    export(desk, "disciplines")
    assert [row["name"] for row in said(mirror, "disciplines.json")["po"]] == ["Ann", "Bo"]


def test_a_batch_that_is_rolled_back_after_the_rename_leaves_a_file_of_committed_data(desk: Desk, mirror: Path) -> None:
    desk.do(person(ANN, "Ann"))
    desk.connection.execute("ALTER TABLE onelane.ledger ADD CONSTRAINT faulty CHECK (lane <> 'user:U0EXAMPLE02')")
    with pytest.raises(psycopg.errors.CheckViolation):
        desk.do_all([person(BO, "Bo"), ExportFile(file="disciplines")])
    assert [row["name"] for row in said(mirror, "disciplines.json")["po"]] == ["Ann"]
    assert desk.values("SELECT name FROM users") == ["Ann"]


@pytest.mark.usefixtures("mirror")
def test_no_further_connection_to_be_had_is_the_exports_own_misfortune_and_no_outage(desk: Desk) -> None:
    with psycopg.connect(desk.settings.database_url, dbname="postgres", autocommit=True) as elsewhere:
        name = desk.connection.info.dbname
        elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        with pytest.raises(
            MirrorFault, match=r"gets no connection of its own to PostgreSQL: .*not currently accepting"
        ):
            export(desk, "sprints")
        elsewhere.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    assert export(desk, "sprints").code == "written"


def test_a_reader_never_sees_half_a_file(desk: Desk, mirror: Path) -> None:
    """Files of about 300 kB, so that a write in place would be seen."""
    desk.connection.execute(
        "INSERT INTO users (slack_id, name, discipline, active)"
        " SELECT 'U' || n, repeat('x', 80) || n, 'po', true FROM generate_series(1, 2000) AS n"
    )
    export(desk, "disciplines")
    file, done = mirror / "disciplines.json", threading.Event()
    sizes: list[int] = []

    def read() -> None:
        while not done.is_set():
            sizes.append(len(json.loads(file.read_bytes())["po"]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(40):
            desk.do(person(f"UNEW{n}", f"new {n}"))
            export(desk, "disciplines")
    finally:
        done.set()
        reader.join()
    assert len(sizes) > 40
    assert sizes == sorted(sizes), "an older file came after a newer one"
    assert set(sizes) <= set(range(2000, 2041))


KILLED = """
import os, pathlib, signal, sys
from tasks.mirror import Mirror
pathlib.Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Mirror(pathlib.Path(sys.argv[1]), staging=False).write("sprints", lambda: [{"new": n} for n in range(1000)])
"""


def test_a_writer_killed_before_the_rename_leaves_the_old_file_and_its_draft_is_taken_over(mirror: Path) -> None:
    files = Mirror(mirror, staging=False)
    files.write("sprints", lambda: ["old"])
    killed = subprocess.run([sys.executable, "-c", KILLED, str(mirror)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert said(mirror, "sprints.json") == ["old"]
    assert (mirror / ".sprints.json.draft").stat().st_size > 1000
    assert files.write("sprints", lambda: ["newer"]) == 1
    assert (mirror / "sprints.json").read_text() == '[\n  "newer"\n]\n'
    assert sorted(path.name for path in mirror.iterdir()) == ["sprints.json"]


def test_a_draft_that_was_renamed_while_it_was_waited_for_is_not_written_into(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was opened as the draft has become the file, in the moment before it is locked."""
    (mirror / ".sprints.json.draft").write_text('["theirs"]')
    lock = fcntl.flock

    def overtaken(descriptor: int, operation: int) -> None:
        if not (mirror / "sprints.json").exists():
            (mirror / ".sprints.json.draft").rename(mirror / "sprints.json")
        lock(descriptor, operation)

    def content() -> list[Any]:
        assert said(mirror, "sprints.json") == ["theirs"]
        return ["ours"]

    monkeypatch.setattr(fcntl, "flock", overtaken)
    theirs = (mirror / ".sprints.json.draft").stat().st_ino
    Mirror(mirror, staging=False).write("sprints", content)
    assert said(mirror, "sprints.json") == ["ours"]
    assert (mirror / "sprints.json").stat().st_ino != theirs


EXPORTER = """
import pathlib, sys, time
import psycopg
from tasks.mirror import Mirror
from tasks.mirror_source import current
directory, url, rounds, pause = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
with psycopg.connect(url, autocommit=True) as connection:
    def content():
        found = current(connection, "sprints")
        print("read", flush=True)
        time.sleep(pause)
        return found
    for _ in range(rounds):
        connection.execute("UPDATE sprints SET end_date = end_date + 1")
        Mirror(directory, staging=False).write("sprints", content)
"""


def exporter(mirror: Path, url: str, rounds: int, pause: float = 0.0) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", EXPORTER, str(mirror), url, str(rounds), str(pause)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_two_exporters_at_once_never_put_an_older_file_over_a_newer_one(
    desk: Desk, mirror: Path, database_url: str
) -> None:
    desk.do(sprint(0))
    export(desk, "sprints")
    exporters = [exporter(mirror, database_url, 100) for _ in range(2)]
    seen: list[str] = []
    while any(each.poll() is None for each in exporters):
        seen.append(said(mirror, "sprints.json")[0]["endDate"])
    for each in exporters:
        assert each.communicate()[0].count(b"read") == 100
        assert each.returncode == 0
    assert seen == sorted(seen)
    (last,) = desk.values("SELECT end_date::text FROM sprints")
    assert said(mirror, "sprints.json")[0]["endDate"] == last


def test_a_writer_paused_with_old_data_holds_up_the_others_and_harms_nothing_when_it_wakes(
    desk: Desk, mirror: Path, database_url: str
) -> None:
    desk.do(sprint(0))
    paused = exporter(mirror, database_url, 1, pause=0.2)
    assert paused.stdout is not None
    assert paused.stdout.readline() == b"read\n"
    paused.send_signal(signal.SIGSTOP)
    desk.connection.execute("UPDATE sprints SET sprint_name = 'newer'")
    with pytest.raises(MirrorFault, match="another process has been at it for too long"):
        export(desk, "sprints")
    paused.send_signal(signal.SIGCONT)
    paused.communicate()
    assert said(mirror, "sprints.json")[0]["sprintName"] == "FY30 Sp1"
    export(desk, "sprints")
    assert said(mirror, "sprints.json")[0]["sprintName"] == "newer"


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(mirror: Path) -> None:
    files = Mirror(mirror, staging=False)
    files.write("sprints", lambda: ["old"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MirrorFault, match=r"sprints\.json can't be written \(File too large: "):
            files.write("sprints", lambda: ["x" * 10_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, earlier)
    assert said(mirror, "sprints.json") == ["old"]
    assert [path.name for path in mirror.iterdir()] == ["sprints.json"]


def test_a_file_is_readable_for_others_than_its_writer(mirror: Path) -> None:
    earlier = os.umask(0o022)
    Mirror(mirror, staging=False).write("sprints", list)
    os.umask(earlier)
    assert (mirror / "sprints.json").stat().st_mode & 0o777 == 0o644


def test_a_directory_that_is_not_there_is_named_in_the_error(desk: Desk, mirror: Path) -> None:
    mirror.rmdir()
    with pytest.raises(MirrorFault) as failed:
        export(desk, "sprints")
    assert str(failed.value) == (
        f"{mirror}/sprints.json can't be written (No such file or directory: {mirror}/.sprints.json.draft). Look at "
        "TRIAGE_MIRROR_DIR, at the owner of that directory, and at the space that is left."
    )
    assert not desk.connection.closed


def test_workers_export_after_changes_and_the_last_export_shows_all_though_one_is_killed(
    redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    live = Live(*(redis_url, database_url, prefix, tmp_path), TRIAGE_MIRROR_DIR=str(mirror), ONELANE_LEASE_MS="1000")
    try:
        unlucky, _ = live.start(), live.start()
        for n in range(300):
            live.client.enqueue(person(f"U{n % 50:03}", f"N{n}"), actor="U0ADMIN")
            if n == 150:
                live.kill(unlucky)
        live.await_quiet()
        with psycopg.connect(database_url) as connection:
            assert said(mirror, "disciplines.json") == current(connection, "disciplines")
            written = "SELECT count(*) FROM onelane.ledger WHERE kind = 'export.json' AND code = 'written'"
            assert (connection.execute(written).fetchone() or (0,))[0] >= 1
    finally:
        live.close()


def test_many_changes_within_a_rest_write_the_file_once(
    redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    live = Live(*(redis_url, database_url, prefix, tmp_path), TRIAGE_MIRROR_DIR=str(mirror))
    try:
        live.start()
        began = time.monotonic()
        for n in range(40):
            handle = live.client.enqueue(person(f"U{n:03}", f"N{n}"), actor="U0ADMIN")
            assert (handle.state, handle.wait(30).status) == ("queued", "applied")
        seconds = time.monotonic() - began
        live.await_quiet()
        with psycopg.connect(database_url, autocommit=True) as connection:
            exports = "SELECT code, count(*) FROM onelane.ledger WHERE kind = 'export.json' GROUP BY code"
            counts: dict[str, int] = dict(connection.execute(exports).fetchall())
            assert said(mirror, "disciplines.json") == current(connection, "disciplines")
        assert sum(counts.values()) > 20
        assert 1 <= counts["written"] <= 2 + seconds * 1000 / ExportFile.rest_ms
    finally:
        live.close()


def test_a_broken_directory_ends_in_a_dead_letter_with_a_sentence_while_other_lanes_go_on(
    redis_url: str, database_url: str, prefix: str, tmp_path: Path
) -> None:
    live = Live(
        *(redis_url, database_url, prefix, tmp_path),
        TRIAGE_MIRROR_DIR=str(tmp_path / "missing"),
        ONELANE_MAX_ATTEMPTS="3",
        ONELANE_BACKOFF_CAP_MS="50",
    )
    try:
        live.start()
        for n in range(20):
            outcome = live.client.enqueue(person(f"U{n:03}", f"N{n}"), actor="U0ADMIN").wait(30)
            assert outcome.status == "applied"
        with psycopg.connect(database_url, autocommit=True) as connection:
            dead = "SELECT code, attempts, error_class, error FROM onelane.ledger WHERE status = 'dead'"
            eventually(lambda: connection.execute(dead).fetchone() is not None, "the export is a dead letter")
            code, attempts, error_class, error = connection.execute(dead).fetchone() or ()
            assert (code, attempts, error_class) == ("exhausted", 3, "MirrorFault")
            assert error.startswith(f"{tmp_path}/missing/disciplines.json can't be written (No such file or directory")
            (tmp_path / "missing").mkdir()
            live.client.enqueue(person("U0LAST", "Zoe"), actor="U0ADMIN")
            live.await_quiet()
            assert said(tmp_path / "missing", "disciplines.json")["po"][-1]["name"] == "Zoe"
    finally:
        live.close()

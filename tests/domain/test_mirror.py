"""`onelane mirror`: files written at once, compared row by row, and described while the database is away."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tasks import AppendSprint, RequestOverride, UpsertUser
from tasks.cli import mirror as commands
from tasks.settings import triage_settings
from tests.domain.conftest import Desk
from worker.errors import ConfigurationError

ANN, BO, CY = "U0EXAMPLE01", "U0EXAMPLE02", "U0EXAMPLE03"
FILES = ("disciplines.json", "sprints.json", "overrides.json", "currentState.json")


@pytest.fixture
def directory(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The mirror of this test's database."""
    made = tmp_path / "mirror"
    made.mkdir()
    monkeypatch.setenv("ONELANE_DATABASE_URL", database_url)
    monkeypatch.setenv("TRIAGE_MIRROR_DIR", str(made))
    triage_settings.cache_clear()
    yield made
    triage_settings.cache_clear()


@pytest.fixture
def filled(desk: Desk, directory: Path) -> Path:
    """A mirror that was just written, of three people, two sprints and a request."""
    for slack_id, name in ((ANN, "Ann"), (BO, "Bo"), (CY, "Cy")):
        desk.do(UpsertUser(slack_id=slack_id, name=name, discipline="po"))
    for name in ("Sp1", "Sp2"):
        desk.do(AppendSprint(sprint_name=name, start_date="2030-01-02", end_date="2030-01-15"))  # type: ignore[arg-type]
    desk.do(RequestOverride(sprint_index=1, role="po", requested_by=ANN, replacement_slack_id=BO))
    assert run("write").exit_code == 0
    return directory


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(commands, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def change(file: Path, what: Any) -> None:
    content = json.loads(file.read_text())
    what(content)
    file.write_text(json.dumps(content))


def verified() -> tuple[int, list[str]]:
    """Exit code and sentences, without the last one, which counts them."""
    result = run("verify")
    return result.exit_code, result.stdout.splitlines()[:-1]


def test_all_files_are_written_at_once_and_say_what_the_database_holds(filled: Path) -> None:
    assert sorted(path.name for path in filled.iterdir()) == sorted(FILES)
    result = run("verify")
    assert (result.exit_code, result.stdout) == (0, "The files say what the database holds.\n")
    assert json.loads(run("write", "--json").stdout) == {
        "written": {"disciplines.json": 3, "sprints.json": 2, "overrides.json": 1, "currentState.json": 1}
    }


def test_each_difference_is_a_sentence_that_names_the_row_the_field_and_both_values(filled: Path) -> None:
    change(filled / "disciplines.json", lambda c: c["po"][0].update(name="Anna", active=False))
    change(filled / "disciplines.json", lambda c: c["po"].pop(1))
    change(filled / "disciplines.json", lambda c: c["uiEng"].append({"name": "Zoe", "slackId": "U9", "active": True}))
    change(filled / "sprints.json", lambda c: c.append({"sprintName": "Sp3", "sprintIndex": 2}))
    change(filled / "overrides.json", lambda c: c[0].update(approved=True, approvedBy="U9"))
    change(filled / "currentState.json", lambda c: c.update(sprintIndex=1))
    request = f"overrides.json: the request in which {ANN} asks {BO} to cover po in sprint 1"
    assert verified() == (
        1,
        [
            f'disciplines.json: {ANN} in po: name is "Anna" in the file and "Ann" in the database.',
            f"disciplines.json: {ANN} in po: active is false in the file and true in the database.",
            f"disciplines.json: {BO} in po is missing.",
            "disciplines.json: U9 in uiEng is not in the database.",
            "sprints.json: the sprint at position 2 is not in the database.",
            f"{request}: approved is true in the file and false in the database.",
            f'{request}: approvedBy is "U9" in the file and null in the database.',
            "currentState.json: sprintIndex is 1 in the file and null in the database.",
        ],
    )
    assert run("verify").stdout.endswith("\n8 differences; `onelane mirror write` writes the files anew.\n")
    found = json.loads(run("verify", "--json").stdout)["differences"]
    assert {name: len(each) for name, each in found.items()} == dict(zip(FILES, (4, 1, 2, 1), strict=True))


def test_each_file_has_the_whole_time_in_which_a_change_may_be_on_its_way(filled: Path) -> None:
    late = filled / "currentState.json"
    right = late.read_text()
    change(filled / "disciplines.json", lambda c: c["po"].pop(1))  # and so it stays
    changes = [
        threading.Timer(1.0, late.write_text, ['{"sprintIndex": 7}']),
        threading.Timer(3.0, late.write_text, [right]),
    ]
    for each in changes:
        each.start()
    assert verified() == (1, [f"disciplines.json: {BO} in po is missing."])
    for each in changes:
        each.join()


def test_the_order_counts_and_a_row_that_stands_twice_is_named(filled: Path) -> None:
    change(filled / "disciplines.json", lambda c: c["po"].reverse())
    change(filled / "overrides.json", lambda c: c.append(c[0]))
    assert verified() == (
        1,
        [
            f"disciplines.json: the order is another: {CY} in po stands where {ANN} in po should.",
            f"overrides.json: the request in which {ANN} asks {BO} to cover po in sprint 1 stands there 2 times.",
        ],
    )


def test_files_that_are_no_json_or_have_another_form_or_are_missing_are_named(filled: Path) -> None:
    (filled / "disciplines.json").write_text('{"po": 3}')
    (filled / "sprints.json").write_text('[{"sprintName":')
    (filled / "overrides.json").write_text("[7]")
    (filled / "currentState.json").unlink()
    assert verified() == (
        1,
        [
            "disciplines.json: expected a list of people under 'po'.",
            "sprints.json is no JSON: EOF while parsing a value at line 1 column 15.",
            f"overrides.json: the request in which {ANN} asks {BO} to cover po in sprint 1 is missing.",
            "overrides.json: row 1 is not in the database.",
            "currentState.json is not there.",
        ],
    )
    result = run("status", "--json")
    files = {each["file"]: each for each in json.loads(result.stdout)["files"]}
    assert result.exit_code == 1
    assert files["currentState.json"] == {
        "file": "currentState.json",
        "written": None,
        "age_seconds": None,
        "rows": None,
        "problem": "It is not there.",
    }
    assert files["sprints.json"]["problem"] == "sprints.json is no JSON: EOF while parsing a value at line 1 column 15."
    assert 0 <= files["overrides.json"]["age_seconds"] < 30
    assert files["overrides.json"]["rows"] == 1


def test_a_change_that_is_on_its_way_is_no_difference(filled: Path) -> None:
    good = (filled / "sprints.json").read_bytes()
    change(filled / "sprints.json", lambda c: c.pop())
    arrives = threading.Timer(0.5, (filled / "sprints.json").write_bytes, (good,))
    arrives.start()
    assert run("verify").exit_code == 0
    arrives.join()


def test_the_status_needs_no_database(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELANE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("status")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].strip() == str(filled)
    assert [line.split()[0] for line in lines[2:]] == list(FILES)
    assert [line.split()[-2] for line in lines[2:]] == ["3", "2", "1", "1"]


@pytest.mark.usefixtures("directory")
def test_a_database_that_is_away_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELANE_DATABASE_URL", "postgresql://nobody:s3cret@127.0.0.1:1/none")
    for command in ("write", "verify"):
        with pytest.raises(ConfigurationError, match=r"PostgreSQL \(none at 127\.0\.0\.1\) can't be used") as failed:
            run(command)
        assert "s3cret" not in str(failed.value)


def test_a_directory_that_can_not_be_written_is_one_sentence(directory: Path) -> None:
    directory.rmdir()
    directory.write_text("a file")
    with pytest.raises(ConfigurationError, match=r"disciplines\.json can't be written \(Not a directory: "):
        run("write")
    problems = [each["problem"] for each in json.loads(run("status", "--json").stdout)["files"]]
    assert problems == ["It can't be looked at: Not a directory."] * 4


def test_without_a_mirror_each_command_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIAGE_MIRROR_DIR", raising=False)
    triage_settings.cache_clear()
    for command in ("write", "verify", "status"):
        with pytest.raises(ConfigurationError) as refused:
            run(command)
        assert str(refused.value) == (
            "No mirror is configured: set TRIAGE_MIRROR_DIR to the directory for the bot's JSON files."
        )

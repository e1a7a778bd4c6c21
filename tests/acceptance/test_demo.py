"""The demo: what a newcomer sees, that it leaves nothing behind, and that each of its checks can fail."""

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from rich.console import Console

from tasks.demo.checks import AFTER, Fault, look
from tasks.demo.intents import BOTS, Conflict, intents
from tasks.demo.performance import Verdict, performance
from tasks.demo.query import query
from tasks.demo.stage import connected
from tasks.demo.story import Story
from tests.databases import new_database
from tests.migrations.shapes import build
from tests.migrations.snapshot import catalog_of

SEED, ROUNDS = 7, 20
ONELANE = Path(sys.executable).with_name("onelane")


# The command, as it is typed.


@dataclass
class Demo:
    """`onelane demo` as a process, in an empty directory for temporary files; its family is known by a mark."""

    process: "subprocess.Popen[str]"
    folder: Path
    mark: str
    told: list[str] = field(default_factory=list)

    def hear(self, words: str) -> str:
        """Read the story up to a line with these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line)
            if words in line:
                return line
        raise AssertionError(f"never said {words!r}: {self.told}")

    def family(self) -> list[str]:
        """The command lines of all processes that it has started and that live."""
        return [line for pid in Path("/proc").glob("[0-9]*") if (line := self._line(pid)) is not None]

    def left(self) -> list[str]:
        """What it has left in its temporary directory."""
        return [path.name for path in self.folder.iterdir()]

    def _line(self, process: Path) -> str | None:
        try:
            if self.mark.encode() not in (process / "environ").read_bytes():
                return None
            return (process / "cmdline").read_text().replace("\0", " ") or None
        except OSError:
            return None  # it has just ended


@contextmanager
def demo(*options: str, stderr: int = subprocess.STDOUT, beside: Sequence[str] = ()) -> Iterator[Demo]:
    """Start it in a directory with modules `beside` it that are somebody else's; nothing of it outlives the block."""
    mark = uuid.uuid4().hex
    with (
        tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder,  # sockets need a short path
        tempfile.TemporaryDirectory() as here,
    ):
        Path(folder).chmod(0o711)
        for name in beside:
            Path(here, name).write_text("raise SystemExit('this is somebody else')")
        process = subprocess.Popen(
            [ONELANE, "demo", *options],
            env={**os.environ, "TMPDIR": folder, "DEMO_MARK": mark, "ONELANE_TASKS": "none.of.its.business"},
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        running = Demo(process, Path(folder), mark)
        try:
            yield running
        finally:
            process.kill()
            process.communicate()


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true before the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_it_holds_in_under_a_minute_and_leaves_nothing_behind() -> None:
    """As a newcomer runs it, in a directory with modules of the same names as ours; with --json for the numbers."""
    with demo("--json", stderr=subprocess.PIPE, beside=("tasks.py", "worker.py")) as running:
        out, err = running.process.communicate(timeout=60)
        assert running.process.returncode == 0, err
        assert within(5, lambda: not running.family()), running.family()
        assert running.left() == []
    answer = json.loads(out)
    assert list(answer) == ["before", "after", "jobs", "seconds", "jobs_per_second"]
    before = answer["before"]
    assert before["errors"] == {"users_slack_id_key": 300}
    assert before["swallowed_errors"] == {"audit_logs_operation_check": 3600}
    assert before["lost_updates"] == {
        Conflict.SPRINT: 300,
        Conflict.STATE: 600,
        Conflict.AGAIN: 300,
        Conflict.DECLINE: 300,
    }
    assert (before["audit_missing"], before["audit_false"]) == (3300, 300)
    assert answer["after"] == dict.fromkeys(AFTER, 0)
    jobs = answer["jobs"]
    assert jobs["enqueued"] == jobs["applied"] + jobs["unchanged"] + jobs["rejected"] + jobs["dead"]
    assert (jobs["rejected"], jobs["dead"], jobs["replayed"]) == (300, 3, 6)
    assert 0 < answer["seconds"] < 60
    assert answer["jobs_per_second"] > 0
    assert f"--seed {before['seed']}" in err


@pytest.mark.parametrize("moment", ["A day of a team", "Before", "poisoned", "SIGKILL"])
def test_ctrl_c_cleans_up_at_any_moment(moment: str) -> None:
    """Interrupted anywhere, it stops everything, removes its directory, and says so."""
    with demo("--rounds", "100") as running:
        running.hear(moment)
        running.process.send_signal(signal.SIGINT)
        running.hear("Stopped; nothing is left behind.")
        assert running.process.wait(30) == 130
        assert within(5, lambda: not running.family()), running.family()
        assert running.left() == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not stop what a killed process started")
@pytest.mark.parametrize("moment", ["Before", "poisoned", "locked"])
def test_a_killed_demo_leaves_no_process(moment: str) -> None:
    """SIGKILL leaves it no time to clean up; what it started ends all the same."""
    with demo("--rounds", "100") as running:
        running.hear(moment)
        assert running.family()
        running.process.kill()
        assert within(20, lambda: not running.family()), running.family()


def test_it_tells_the_story_in_one_screen_and_is_kept_with_flower() -> None:
    """Both halves, each fault, the table and the verdict; no more than a screen. With --keep Flower shows the jobs by
    kind, other commands find them, and Ctrl-C ends it with the verdict's exit code.
    """
    with demo("--rounds", "20", "--keep") as running:
        running.hear("All of it holds")
        story = "".join(running.told)
        for words in ("Before", "After", "locked a table", "in the middle of a transaction", "6 dead letters replayed"):
            assert words in story
        assert len(running.told) <= 24
        line = running.hear("Flower: ")
        url, user, password = line.split()[1], line.split("(")[1].split()[0], line.rstrip(")\n").split()[-1]
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request = urllib.request.Request(f"{url}/api/tasks?limit=5000", headers={"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            kinds = Counter(task["name"] for task in json.load(answer).values())
        assert kinds["override.request"] > 0
        assert kinds["user.upsert"] > 0
        found = running.hear("ONELANE_DATA_DIR=").partition("ONELANE_DATA_DIR=")[2].split(";")[0]
        environment = {**os.environ, "ONELANE_DATA_DIR": found}
        job = subprocess.run(
            [ONELANE, "job", "intent-0", "--json"], env=environment, capture_output=True, text=True, check=True
        )
        assert json.loads(job.stdout)["status"] == "applied"
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(30) == 0
        assert within(5, lambda: not running.family()), running.family()
        assert running.left() == []


# What it plays.


def test_the_same_seed_is_the_same_day() -> None:
    """Both halves make the list for themselves, so it must depend on the seed alone."""
    assert intents(1, 20) == intents(1, 20)
    assert intents(1, 20) != intents(2, 20)


def test_each_step_has_one_intent_for_each_bot() -> None:
    """Or a bot would wait at the barrier for ever."""
    for step, bots in _bots_of_steps(intents(SEED, ROUNDS)).items():
        assert sorted(bots) == list(range(BOTS)), step


def _bots_of_steps(found: list[Any]) -> dict[int, list[int]]:
    steps: dict[int, list[int]] = {}
    for intent in found:
        steps.setdefault(intent.step, []).append(intent.bot)
    return steps


def test_its_legacy_database_is_the_bots(postgres_server: str) -> None:
    """The script of the package makes the shape LEGACY, as the migration tests know it."""
    with new_database(postgres_server) as ours, new_database(postgres_server) as theirs:
        build(theirs, "LEGACY")
        with connected(ours) as connection:
            connection.execute(query("legacy"))
        assert catalog_of(ours) == catalog_of(theirs)


# Each check can fail: the data of a whole performance is broken in one place, and the check must say so.


@dataclass
class Played:
    """A performance that is over; its databases are still there."""

    verdict: Verdict
    lanes: Connection[Any]
    legacy_url: str


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    """A short day, with all its faults."""
    story = Story(Console(quiet=True))
    with performance(story, SEED, ROUNDS) as play, story:
        verdict = play.play()
        play.crew.stop()
        with psycopg.connect(play.settings.database_url) as lanes:
            yield Played(verdict, lanes, play.legacy_url)


@pytest.fixture
def lanes(played: Played) -> Iterator[Connection[Any]]:
    """The second half's database; what a test breaks is mended after it."""
    yield played.lanes
    played.lanes.rollback()


def faults(connection: Connection[Any], check: str) -> list[str]:
    """What a check complains about."""
    return [f"{fault.group}: {fault.thing} {fault.says}" for fault in look(connection, check)]


def test_an_unbroken_performance_has_no_fault(played: Played, lanes: Connection[Any]) -> None:
    """So whatever the test below finds, it has broken itself; and one fault of any promise makes the exit code 1."""
    assert {check: faults(lanes, check) for checks in AFTER.values() for check in checks} == {
        check: [] for checks in AFTER.values() for check in checks
    }
    verdict = played.verdict
    assert verdict.holds
    assert verdict.collided
    fault = Fault("a group", "a thing", "is not as it must be")
    assert not any(replace(verdict, faults={**verdict.faults, promise: [fault]}).holds for promise in AFTER)


def test_the_first_half_shows_each_conflict_each_time(played: Played) -> None:
    """The bad luck is certain: every round has every conflict."""
    assert played.verdict.damage.harmed == {
        Conflict.DISCIPLINE: ROUNDS,
        Conflict.SPRINT: ROUNDS,
        Conflict.STATE: 2 * ROUNDS,
        Conflict.AGAIN: ROUNDS,
        Conflict.DECLINE: ROUNDS,
    }


def breaks() -> list[tuple[str, str, str]]:
    """From demo_breaks.sql: the check, what it must say, and the statements that break the data."""
    _, *blocks = Path(__file__).with_name("demo_breaks.sql").read_text().strip().split("\n\n")
    heads = (block.partition("\n")[0].removeprefix("-- ").split(": ", 1) for block in blocks)
    return [(check, says, block) for (check, says), block in zip(heads, blocks, strict=True)]


def test_each_check_finds_what_is_broken(lanes: Connection[Any], subtests: pytest.Subtests) -> None:
    """Each kind of fault that a check looks for, made once."""
    for check, says, broken in breaks():
        with subtests.test(check=check, says=says), lanes.transaction(force_rollback=True):
            lanes.execute(broken)  # type: ignore[call-overload]
            assert any(says in fault for fault in faults(lanes, check))

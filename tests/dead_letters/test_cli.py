"""`onelane dead`, as a person runs it."""

import base64
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.onelane import ONELANE, Onelane, until
from tests.dead_letters.conftest import acts, bury, died, draining
from tests.integration.kinds import Engrave, Write
from tests.integration.notebook import Notebook
from worker.dead_letters import Change, edit
from worker.settings import Settings

ROOT = str(Path(__file__).parents[2])


@pytest.fixture
def onelane(settings: Settings, tmp_path: Path) -> Onelane:
    """Commands on this test's services."""
    return Onelane(
        tmp_path,
        PYTHONPATH=ROOT,
        ONELANE_REDIS_URL=settings.redis_url,
        ONELANE_DATABASE_URL=settings.database_url,
        ONELANE_PREFIX=settings.prefix,
        ONELANE_TASKS=settings.tasks,
        ONELANE_EFFECTS_STREAM=settings.effects_stream,
        ONELANE_DATA_DIR=str(settings.data_dir),
    )


def test_list_shows_them_in_order_and_how_many_there_are(onelane: Onelane, notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page="p", text=str(n)) for n in range(25)])
    done = onelane("dead", "list")
    assert done.code == 0
    assert [line.split()[3] for line in done.out.splitlines()[1:21]] == ids[:20]
    assert "… 20 of 25: see --limit, or `onelane dead stats`." in done.out
    answer = onelane("dead", "list", "--limit", "2", "--json").json
    assert [letter["job_id"] for letter in answer["letters"]] == ids[:2]
    assert answer["more"] is False


def test_an_empty_list_is_good_and_a_filter_without_a_match_is_a_no(onelane: Onelane, notebook: Notebook) -> None:
    done = onelane("dead", "list")
    assert (done.code, done.out, done.err) == (0, "", "There is no dead letter.\n")
    bury(notebook, [Write(page="p", text="a")])
    no_match = "No dead letter matches; `onelane dead stats` shows which there are.\n"
    for command in ("list", "show", "stats", "replay", "discard"):
        done = onelane("dead", command, "--kind", "no.such")
        assert (command, done.code, done.err) == (command, 1, no_match)
    done = onelane("dead", "export", "--kind", "no.such")
    assert (done.code, done.out) == (1, "")


def on_a_terminal(onelane: Onelane, *words: str, all_of_it: bool = False) -> tuple[int, str, str]:
    """Exit code, standard output, and what a terminal shows: of errors, or of all that is written."""
    screen, terminal = pty.openpty()
    environment = {**onelane.environment, "TERM": "xterm"}
    with os.fdopen(screen, "rb", buffering=0) as shown:
        done = subprocess.run(
            [ONELANE, *words],
            cwd=onelane.directory,
            env=environment,
            stdout=terminal if all_of_it else subprocess.PIPE,
            stderr=terminal,
            check=False,
        )
        os.set_blocking(screen, False)
        told = (shown.read(100_000) or b"").decode()
        os.close(terminal)
    return done.returncode, (done.stdout or b"").decode(), told


def percents(told: str, doing: str) -> list[str]:
    """The figures beside a bar, each once."""
    return list(dict.fromkeys(re.findall(rf"{doing} \S+ +(\d+)%", told)))


def test_a_long_replay_shows_a_terminal_how_far_it_is(onelane: Onelane, notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=str(n)) for n in range(3)])
    code, out, told = on_a_terminal(onelane, "dead", "replay", "--all", "--rate", "1")
    assert (code, out) == (0, "3 dead letters go back into their lanes.\n")
    assert percents(told, "Replaying")[-3:] == ["33", "67", "100"]


def test_so_do_export_discard_and_import(onelane: Onelane, notebook: Notebook) -> None:
    bury(notebook, [Write(page="p", text=str(n)) for n in range(3)])
    for doing, *words in (
        ("Exporting", "export", "--file", "letters"),
        ("Discarding", "discard", "--all"),
        ("Importing", "import", "letters"),
    ):
        code, _, told = on_a_terminal(onelane, "dead", *words)
        assert (doing, code, percents(told, doing)[-1:]) == (doing, 0, ["100"])


def test_no_bar_is_drawn_into_an_export_that_goes_to_the_terminal(onelane: Onelane, notebook: Notebook) -> None:
    (job_id,) = bury(notebook, [Write(page="p", text="a")])
    code, _, told = on_a_terminal(onelane, "dead", "export", all_of_it=True)
    letter, last = told.splitlines()
    assert (code, json.loads(letter)["id"], last) == (0, job_id, "1 written.")


@pytest.mark.parametrize("file", ["-", "/dev/full"])
def test_an_export_that_a_full_disk_does_not_take_is_none(onelane: Onelane, notebook: Notebook, file: str) -> None:
    bury(notebook, [Write(page="p", text="a")])
    command = [ONELANE, "dead", "export", "--file", file]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, cwd=onelane.directory, env=onelane.environment, stdout=full, stderr=subprocess.PIPE, check=False
        )
    said = "The answer can't be written to its end (No space left on device).\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)


def test_show_reads_like_a_bug_report(onelane: Onelane, notebook: Notebook) -> None:
    (job_id,) = died(notebook, "a")
    notebook.enqueue(Write(page="p", text="b"))
    notebook.drain_all()
    done = onelane("dead", "show", job_id)
    assert done.code == 0
    assert f"notebook.write {job_id} died " in done.out
    assert "DataException (SQLSTATE 22000): the text is faulty: a" in done.out
    shown = {line[:14].strip(): line[14:].strip() for line in done.out.splitlines()}
    assert shown["what"] == '{"page": "p", "text": "a"}'
    assert shown["lane"] == f"page:p, number {notebook.ended(job_id)['seq']}"
    assert shown["who"] == "U0WRITER"
    assert shown["the row now"] == '{"last": "b", "page": "p", "lines": 1}'
    assert shown["a replay"].startswith("Its lane has gone on: notebook.write ")
    assert "Traceback (most recent call last)" in done.out


def test_nobody_is_shown_where_an_answer_goes_to(onelane: Onelane, notebook: Notebook) -> None:
    notebook.make_faulty("a", "22000")
    address = "https://example.org/actions/T0/1/secret"
    (handle,) = notebook.enqueue(Write(page="p", text="a"), reply_to=address)
    notebook.put("page:q", b'{"kind": "no.envelope", "reply_to": "%s"}' % address.encode())
    notebook.drain_all()
    edit(notebook.connection, handle.id, Change.read(["text=A"]), notebook.settings, actor="ada")
    done = onelane("dead", "show", "--all")
    assert done.out.count("an address that is not shown\n") == 1
    assert "before an edit" in done.out
    answer = onelane("dead", "show", "--all", "--json")
    bodies = [
        base64.b64decode(letter[name] or "") for letter in answer.json["letters"] for name in ("body", "original")
    ]
    assert sorted(letter["has_reply_to"] for letter in answer.json["letters"]) == [False, True]
    for command in ("list", "stats", "export"):
        done = onelane("dead", command)
        assert (done.code, "example.org" in done.out + done.err) == (0, False)
    assert not any(b"example.org" in each for each in (done.out.encode(), answer.out.encode(), *bodies))


def test_show_says_what_a_replay_meets_in_the_lane(onelane: Onelane, notebook: Notebook) -> None:
    notebook.make_faulty("a", "22000")
    first, *_ = notebook.enqueue(Engrave(page="p", text="a"), Engrave(page="p", text="b"))
    notebook.drain_all()
    (letter,) = onelane("dead", "show", first.id, "--json").json["letters"]
    assert letter["replay"]["refused"] is None
    assert letter["replay"]["would"].startswith(
        "It goes back to its place in page:p, where 1 wait; it is held by w1 (dead letter "
    )
    assert letter["payload"] == {"page": "p", "text": "a"}


def test_show_names_what_is_no_dead_letter_and_shows_the_others(onelane: Onelane, notebook: Notebook) -> None:
    (job_id,) = bury(notebook, [Write(page="p", text="a")])
    (fine,) = notebook.enqueue(Write(page="q", text="b"))
    notebook.drain_all()
    done = onelane("dead", "show", fine.id, job_id, "nothing")
    assert (done.code, f"notebook.write {job_id} died " in done.out) == (1, True)
    ended_at = notebook.ended(fine.id)["finished_at"]
    assert [line.partition(". ")[0] for line in done.err.splitlines()] == [
        f"{fine.id}: It never was a dead letter: applied (written) at {ended_at:%F %T} UTC",
        "nothing: No job of this id has ended here: is the id right, and this its database?",
    ]
    assert onelane("dead", "show", job_id, "--kind", "no.such").code == 1


def test_stats_group_them(onelane: Onelane, notebook: Notebook) -> None:
    bury(notebook, [Write(page=str(n), text="x") for n in range(3)])
    bury(notebook, [Engrave(page="p", text="x")], first=9)
    done = onelane("dead", "stats")
    assert [line.split()[:4] for line in done.out.splitlines()[1:3]] == [
        ["3", "3", "notebook.write", "permanent"],
        ["1", "1", "notebook.engrave", "permanent"],
    ]
    assert "4 in all." in done.out
    assert onelane("dead", "stats", "--json", "--lane", "page:p").json["total"] == 1


def test_replay_waits_for_the_ends_and_says_them(onelane: Onelane, notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page="p", text=text) for text in "abc"])
    with draining(notebook):
        done = onelane("dead", "replay", "--all", "--wait", "20", "--actor", "eve", "--reason", "mended")
    assert (done.code, done.err) == (0, "")
    assert done.out == "3 dead letters go back into their lanes.\n3 applied.\n"
    assert notebook.lines("p") == list("abc")
    assert acts(notebook)[3:] == [("eve", "replay", job_id, "mended") for job_id in ids]


def test_replay_says_what_died_again(onelane: Onelane, notebook: Notebook) -> None:
    bury(notebook, [Write(page=text, text=text) for text in ("a", "bad", "c")])
    notebook.make_faulty("bad", "22000")
    with draining(notebook):
        done = onelane("dead", "replay", "--all", "--stop-after-failures", "1", "--json")
    assert done.code == 1
    answer = done.json
    assert answer["stopped"] == "1 died again"
    assert list(answer["ends"].values()) == ["applied", "dead"]
    assert len(answer["replayed"]) == 2


def test_replay_names_those_it_refuses(onelane: Onelane, notebook: Notebook) -> None:
    (old,) = died(notebook, "a")
    notebook.enqueue(Write(page="p", text="b"))
    notebook.drain_all()
    done = onelane("dead", "replay", old, "nothing")
    assert (done.code, done.out) == (1, "")
    assert [line.partition(": ")[0] for line in done.err.splitlines()] == ["nothing", old]
    assert "--force replays it all the same, over newer data." in done.err
    done = onelane("dead", "replay", old, "--force", "--json")
    assert (done.code, done.json["replayed"]) == (0, [old])


def test_a_dry_run_shows_order_and_count_and_does_nothing(onelane: Onelane, notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page="p", text=str(n)) for n in range(30)])
    done = onelane("dead", "replay", "--all", "--dry-run")
    assert done.code == 0
    assert [line.split()[3] for line in done.out.splitlines()[1:21]] == ids[:20]
    assert done.out.endswith("… and 10 more.\n30 dead letters would be replayed, in this order; nothing was done.\n")
    assert onelane("dead", "replay", "--all", "--dry-run", "--json").json["replayed"] == ids
    done = onelane("dead", "discard", "--limit", "3", "--lane", "page:p", "--dry-run")
    assert done.out.endswith("3 dead letters would be discarded; nothing was done.\n")
    assert {row["status"] for row in notebook.rows("SELECT status FROM onelane.ledger")} == {"dead"}


def test_a_held_lane_goes_on_with_its_dead_letter_first(onelane: Onelane, notebook: Notebook) -> None:
    notebook.make_faulty("a", "22000")
    first, *_ = notebook.enqueue(Engrave(page="p", text="a"), Engrave(page="p", text="b"))
    notebook.drain_all()
    notebook.mend("a")
    done = onelane("dead", "replay", first.id)
    assert "page:p is held (dead letter " in done.out
    assert "`onelane lane resume page:p` lets it go on." in done.out
    notebook.drain_all()
    assert notebook.lines("p") == []
    done = onelane("dead", "replay", first.id, "--resume")
    assert (done.code, "is held" in done.out) == (0, False)
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "b"]


def test_edit_mends_one_and_replays_it(onelane: Onelane, notebook: Notebook) -> None:
    (job_id,) = bury(notebook, [Write(page="p", text="tee")])
    done = onelane("dead", "replay", job_id, "--edit", "text=tea", "--dry-run")
    assert (done.code, done.err) == (0, f'{job_id} would be now notebook.write {{"page":"p","text":"tea"}}\n')
    assert notebook.ended(job_id)["original"] is None
    done = onelane("dead", "replay", job_id, "--edit", "page=q")
    assert done.code == 1
    assert "belongs on 'page:q', not on 'page:p'" in done.err
    assert onelane("dead", "replay", job_id, "--edit", "text=tea", "--actor", "eve").code == 0
    notebook.drain_all()
    assert notebook.lines("p") == ["tea"]
    shown = onelane("dead", "show", job_id)
    assert "before an edit" in shown.out
    assert '"text":"tee"' in shown.out


def test_an_edit_whose_replay_is_refused_is_not_made(onelane: Onelane, notebook: Notebook) -> None:
    (job_id,) = died(notebook, "a")
    notebook.enqueue(Write(page="p", text="b"))
    notebook.drain_all()
    done = onelane("dead", "replay", job_id, "--edit", "text=c")
    assert (done.code, "Its lane has gone on" in done.err) == (1, True)
    assert notebook.ended(job_id)["original"] is None


def test_discard_gives_them_up(onelane: Onelane, notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page="p", text=text) for text in "ab"])
    done = onelane("dead", "discard", ids[0], "--reason", "nobody misses it", "--actor", "eve")
    assert (done.code, done.out) == (0, "1 dead letter discarded.\n")
    done = onelane("dead", "show", ids[0])
    assert f"notebook.write {ids[0]} was discarded " in done.out
    assert "nobody misses it" in done.out
    done = onelane("dead", "replay", ids[0])
    assert (done.code, done.err.startswith(f"{ids[0]}: It was discarded at 20")) == (1, True)


def test_an_export_is_imported_again(onelane: Onelane, notebook: Notebook, tmp_path: Path) -> None:
    ids = bury(notebook, [Write(page="p", text=text) for text in "ab"])
    done = onelane("dead", "export", "--file", "letters.jsonl")
    assert (done.code, done.err) == (0, "2 written.\n")
    text = (tmp_path / "letters.jsonl").read_text()
    assert onelane("dead", "export", ids[0]).out == text.splitlines(keepends=True)[0]
    notebook.connection.execute("DELETE FROM onelane.ledger")
    done = onelane("dead", "import", "letters.jsonl")
    assert (done.code, done.out) == (0, "2 are dead letters here now; 0 were known already.\n")
    done = onelane("dead", "import", "-", "--json", stdin=text + "nonsense\n")
    assert done.code == 1
    assert (done.json["known"], list(done.json["refused"])) == (ids, ["3"])
    done = onelane("dead", "import", "-", stdin="{}\n" + text)
    assert (done.code, done.err.startswith("line 1: id: Field required")) == (1, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["replay"], "which? Give ids or conditions, or --all"),
        (["discard"], "which? Give ids or conditions, or --all"),
        (["replay", "--limit", "5"], "which? Give ids or conditions, or --all"),
        (["replay", "--all", "--kind", "x"], "--all means all of them"),
        (["replay", "--all", "--edit", "text=a"], "--edit mends one dead letter: give its id"),
        (["list", "--older-than", "soon"], "expected a time span as 90s, 15m, 2h or 3d"),
        (["list", "--limit", "0"], "should be greater than or equal to 1"),
        (["replay", "--all", "--rate", "0"], "should be greater than or equal to 0.1"),
        (["replay", "--all", "--actor", "a b"], "expected 1 to 50 characters without blanks"),
        (["import", "no-such-file"], "no-such-file can't be read: No such file"),
    ],
    ids=str,
)
def test_a_wrong_option_is_an_exit_code_of_2(onelane: Onelane, words: list[str], sentence: str) -> None:
    done = onelane("dead", *words)
    assert done.code == 2
    said = " ".join(done.err.replace("│", " ").split())
    assert sentence in said


@pytest.mark.parametrize("words", [["list", ""], ["replay", "--text", ""], ["discard", "--lane", ""]], ids=str)
def test_an_empty_condition_is_a_no(onelane: Onelane, notebook: Notebook, words: list[str]) -> None:
    bury(notebook, [Write(page="p", text="a")])
    done = onelane("dead", *words)
    assert (done.code, "'' is no value to look for" in done.err) == (1, True)
    assert {row["status"] for row in notebook.rows("SELECT status FROM onelane.ledger")} == {"dead"}


def test_an_interrupted_replay_says_how_far_it_came(onelane: Onelane, notebook: Notebook, tmp_path: Path) -> None:
    bury(notebook, [Write(page="p", text=str(n)) for n in range(100)])
    running = onelane.start("dead", "replay", "--all", "--rate", "4", "--json", log=tmp_path / "said")
    until(lambda: notebook.rows("SELECT FROM onelane.ledger WHERE status = 'replaying'"), "the first")
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 1
    answer = json.loads((tmp_path / "said").read_text())
    assert answer["stopped"] == "interrupted"
    back = notebook.rows("SELECT job_id FROM onelane.ledger WHERE status = 'replaying' ORDER BY seq")
    assert [row["job_id"] for row in back] == answer["replayed"]
    assert notebook.redis.llen(notebook.keys.lane("page:p")) == len(back)
    assert answer["undelivered"] == 0


@pytest.fixture
def crew(onelane: Onelane, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two real workers."""
    patient = onelane.with_settings(ONELANE_LINGER_MS="200", ONELANE_LEASE_MS="1000")
    workers = [patient.start("worker", log=tmp_path / f"worker{n}") for n in range(2)]
    yield workers
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    for worker in workers:
        worker.wait(30)


def test_ten_thousand_come_back_once_and_in_order_though_a_worker_is_killed(
    onelane: Onelane, notebook: Notebook, crew: list[subprocess.Popen[bytes]]
) -> None:
    jobs = [Write(page=f"p{n % 100}", text=f"{n:05}") for n in range(10_000)]
    bury(notebook, jobs)
    running = onelane.start("dead", "replay", "--all", "--wait", "90")
    until(lambda: len(notebook.rows("SELECT FROM lines LIMIT 500")) == 500, "the first 500")
    crew[0].kill()
    assert running.wait(100) == 0
    lines = [(row["page"], row["text"]) for row in notebook.rows("SELECT page, text FROM lines ORDER BY n")]
    assert len(lines) == 10_000
    for page in range(100):
        assert [text for of, text in lines if of == f"p{page}"] == [f"{n:05}" for n in range(page, 10_000, 100)]
    assert {row["status"] for row in notebook.rows("SELECT DISTINCT status FROM onelane.ledger")} == {"applied"}

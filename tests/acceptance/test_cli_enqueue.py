"""`onelane enqueue`: one job, or a file of them; what is refused is named, and is not queued."""

import json
from typing import Any

import psycopg
from redis import Redis

from tests.acceptance.onelane import Onelane, until
from worker.intervention import Interventions
from worker.lane import Keys
from worker.settings import Settings

BY = ("--actor", "U0EXAMPLE09")


def texts(database: psycopg.Connection, page: str) -> list[str]:
    """What was stamped on a page, in order."""
    rows = database.execute("SELECT text FROM stamps WHERE page = %s ORDER BY n", [page]).fetchall()
    return [text for (text,) in rows]


def line(page: str, text: str, **more: Any) -> str:
    """One line of a job file."""
    job = {"kind": "stamp.write", "payload": {"page": page, "text": text}, "actor": "U0EXAMPLE09"}
    return json.dumps({**job, **more}) + "\n"


def test_a_job_is_enqueued_and_its_outcome_is_said(onelane: Onelane, database: psycopg.Connection, page: str) -> None:
    done = onelane("enqueue", "stamp.write", f"page={page}", "text=paid", *BY, "--id", "paid-1", "--wait", "20")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"paid-1 waits on page:{page}.\napplied: U0EXAMPLE09 stamped paid on {page}.\n"
    assert texts(database, page) == ["paid"]
    assert onelane("job", "paid-1").out.startswith(f"U0EXAMPLE09 stamped paid on {page}.\n")


def test_a_value_is_json_where_its_field_agrees_and_text_where_not(onelane: Onelane, page: str) -> None:
    values = ["text=42", "number=7", "urgent=true", 'tags=["a","b"]', 'size={"w": 3}']
    done = onelane("enqueue", "stamp.write", f"page={page}", *values, *BY, "--id", page, "--wait", "20", "--json")
    assert done.code == 0, done.err
    assert done.json == {
        "id": page,
        "lane": f"page:{page}",
        "state": "queued",
        "outcome": {
            "status": "applied",
            "code": "stamped",
            "message": f"U0EXAMPLE09 stamped 42 on {page}.",
            "before": None,
            "after": "42",
        },
    }
    # The same payload in other words is the same job: each value was read as its field's type.
    values = ['text="42"', "number=7", "urgent=yes", 'tags=["a","b"]', 'size={"w":3}']
    again = onelane("enqueue", "stamp.write", f"page={page}", *values, *BY, "--id", page, "--json")
    assert (again.code, again.json["state"]) == (0, "duplicate")


def test_the_same_id_twice_is_one_job(onelane: Onelane, database: psycopg.Connection, page: str) -> None:
    words = ("enqueue", "stamp.write", f"page={page}", "text=once", *BY, "--id", page, "--wait", "20")
    assert onelane(*words).code == 0
    again = onelane(*words)
    assert again.out.startswith(f"{page} was enqueued before; it is still one job.\napplied: ")
    assert texts(database, page) == ["once"]


def test_a_job_that_ends_badly_is_an_exit_code_of_1(onelane: Onelane) -> None:
    done = onelane("enqueue", "user.set_active", "slack_id=U0NOBODY", "active=true", *BY, "--wait", "20")
    assert done.code == 1
    assert done.out.endswith("rejected: <@U0NOBODY> is in no discipline; add them first.\n")


def test_a_dead_letter_is_said_with_the_command_that_shows_more(
    onelane: Onelane, database: psycopg.Connection, page: str
) -> None:
    database.execute("ALTER TABLE stamps ADD CONSTRAINT no_poison CHECK (text <> 'poison')")
    done = onelane("enqueue", "stamp.write", f"page={page}", "text=poison", *BY, "--id", page, "--wait", "20")
    assert done.code == 1
    assert done.out.endswith(f"can repeat it. See `onelane dead show {page}`.\n")
    assert onelane("dead", "show", page).code == 0


def test_an_outcome_that_does_not_come_in_time_is_said(
    onelane: Onelane, database: psycopg.Connection, page: str
) -> None:
    words = ("enqueue", "stamp.slow", f"page={page}", "text=late", "seconds=8", *BY, "--id", page, "--wait", "0.2")
    done = onelane(*words)
    assert (done.code, done.err) == (
        1,
        f"job {page} has no outcome after 0.2 s; it goes on by itself: see `onelane job {page}`\n",
    )
    database.execute("INSERT INTO unstuck VALUES (%s)", [page])
    assert onelane("job", page, "--wait", "20").code == 0


REFUSALS = {
    "an unknown kind": (["stamp.wirte", "page=p", "text=t"], "kind: 'stamp.wirte' is unknown; known are "),
    "a field that is missing": (["stamp.write", "page=p"], "stamp.write: text: Field required\n"),
    "a field too many": (["stamp.write", "page=p", "text=t", "colour=red"], "stamp.write: colour: Extra inputs are"),
    "a value of the wrong type": (
        ["stamp.write", "page=p", "text=t", "number=few"],
        "stamp.write: number: Input should",
    ),
    "a wrong value within a list": (
        ["stamp.write", "page=p", "text=t", "tags=[1]"],
        "stamp.write: tags.0: Input should",
    ),
    "a lone name": (["stamp.write", "page"], "'page': expected field=value\n"),
    "a field given twice": (["stamp.write", "page=p", "page=q"], "page: given twice\n"),
    "a lane's name that is none": (["stamp.write", "page=a b", "text=t"], "lane: 'page:a b' is no lane name; expected"),
    "another lane": (
        ["stamp.write", "page=p", "text=t", "--lane", "page:q"],
        "lane: a stamp.write with this payload be",
    ),
    "an id that is none": (["stamp.write", "page=p", "text=t", "--id", "a b"], "id: expected 1 to 200 letters, digits"),
    "an oversized payload": (["stamp.write", "page=p", f"text={'x' * 70_000}"], "payload: the job takes 70"),
    "bytes that are no text": (["stamp.write", "page=p", b"text=\xff"], "payload: its text is not valid Unicode"),
}


def test_what_is_wrong_with_a_job_is_said_and_nothing_is_queued(onelane: Onelane, lanes: Redis, keys: Keys) -> None:
    assert onelane("lanes", "--wait-empty", "30").code == 0
    clock = lanes.get(keys.named("clock"))
    commands = [["enqueue", *words, *BY] for words, _ in REFUSALS.values()]
    for (_, sentence), done in zip(REFUSALS.values(), onelane.side_by_side(*commands), strict=True):  # type: ignore[arg-type]
        assert (done.code, done.out) == (1, ""), sentence
        assert done.err.startswith(sentence)
        assert done.err.count("\n") == 1
    assert lanes.exists(keys.lane("page:p")) == 0
    assert lanes.get(keys.named("clock")) == clock


def test_an_id_of_another_payload_is_refused(onelane: Onelane, database: psycopg.Connection, page: str) -> None:
    words = ("enqueue", "stamp.write", f"page={page}", *BY, "--id", page)
    assert onelane(*words, "text=first", "--wait", "20").code == 0
    done = onelane(*words, "text=second")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"id: {page!r} was already given to a job with another payload; use a new id\n"
    assert texts(database, page) == ["first"]


def test_a_full_lane_is_refused(onelane: Onelane, settings: Settings, lanes: Redis, keys: Keys, page: str) -> None:
    small, lane = onelane.with_settings(ONELANE_LANE_LIMIT="2"), f"page:{page}"
    words = ("enqueue", "stamp.slow", f"page={page}", "text=t", "seconds=0.5", *BY)
    assert small(*words).code == 0
    by_hand = Interventions(lanes, settings, "tests")
    by_hand.hold(lane, "so that it fills up", None)
    try:
        until(lambda: lanes.zscore(keys.named("claimed"), lane) is None, "the batch that was begun before")
        full = until(lambda: done if (done := small(*words)).code else None, "a full lane")
        assert (full.code, full.err) == (1, f"lane: '{lane}' is full (2 jobs wait in it); try again later\n")
        assert lanes.llen(keys.lane(lane)) == 2
    finally:
        by_hand.resume(lane)


def test_bytes_that_are_no_job_become_a_dead_letter_that_keeps_them_and_the_lane_goes_on(
    onelane: Onelane, lanes: Redis, keys: Keys, database: psycopg.Connection, page: str
) -> None:
    garbage = b"\x00\xffnot a job"
    lane = f"page:{page}"
    assert onelane("enqueue", "stamp.slow", f"page={page}", "text=before", "seconds=0.5", *BY).code == 0
    lanes.rpush(keys.lane(lane), garbage)
    assert onelane("enqueue", "stamp.write", f"page={page}", "text=after", *BY, "--wait", "20").code == 0
    row = database.execute("SELECT job_id, code, body FROM onelane.ledger WHERE lane = %s AND status = 'dead'", [lane])
    job_id, code, body = row.fetchone() or (None, None, None)
    assert (code, body) == ("damaged", garbage)
    assert texts(database, page) == ["before", "after"]
    said = onelane("job", str(job_id))
    assert said.code == 0
    assert "damaged" in said.out


def test_the_good_lines_of_a_file_go_and_the_bad_ones_are_named(
    onelane: Onelane, database: psycopg.Connection, page: str
) -> None:
    file = onelane.directory / "jobs.jsonl"
    bad = {
        3: ("{", "it is no JSON: EOF"),
        4: ("[1]\n", 'expected an object {"kind", "payload", "actor", "id"?'),
        5: (line(page, "b", actor=None), "actor: Input should be a valid string"),
        6: (line(page, "c", colour="red"), "colour: Extra inputs are not permitted"),
        7: (line(page, "d", kind="stamp.wirte"), "kind: 'stamp.wirte' is unknown"),
        9: (line(page, "f", id="e1"), "id: 'e1' was already given to a job with another payload"),
        10: (line(page, "x" * 70_000), "payload: the job takes 70"),
        11: ("x" * 600_000 + "\n", "it is longer than 524,288 bytes"),
    }
    text = line(page, "a") + "\n" + "{\n" + "".join(bad[n][0] for n in range(4, 8)) + line(page, "e", id="e1")
    text += "".join(bad[n][0] for n in range(9, 12)) + line(page, "e", id="e1") + line(page, "g").rstrip("\n")
    file.write_text(text)

    done = onelane("enqueue", "--file", str(file))
    assert (done.code, done.out) == (1, "3 enqueued, 1 enqueued before, 8 refused.\n")
    for said, (number, (_, why)) in zip(done.err.splitlines(), bad.items(), strict=True):
        assert said.startswith(f"line {number}: {why}")
    until(lambda: len(texts(database, page)) == 3, "the jobs")
    assert texts(database, page) == ["a", "e", "g"]


def test_a_file_may_come_from_standard_input_and_the_answer_be_json(
    onelane: Onelane, database: psycopg.Connection, page: str
) -> None:
    names = [f"{n:04}" for n in range(1200)]
    text = "".join(line(page, name, id=f"{page}-{name}") for name in names)
    done = onelane("enqueue", "--file", "-", "--json", stdin=text + "garbage\n")
    assert done.code == 1
    assert done.json == {
        "enqueued": 1200,
        "duplicates": 0,
        "spooled": 0,
        "refused": [{"line": 1201, "error": "it is no JSON: expected value at line 1 column 1"}],
    }
    assert done.err == ""
    again = onelane("enqueue", "--file", "-", "--json", stdin=text)
    assert (again.code, again.json) == (0, {"enqueued": 0, "duplicates": 1200, "spooled": 0, "refused": []})
    until(lambda: len(texts(database, page)) == 1200, "the jobs")
    assert texts(database, page) == names


WRONG_OPTIONS = {
    (): "expected a KIND and its fields, or --file",
    ("stamp.write", "--file", "x"): "expected a KIND and its fields, or --file",
    ("stamp.write", "page=p"): "expected --actor: who asks for this?",
    ("--file", "x", "--wait", "1"): "--wait can't be used",
    ("--file", "nowhere.jsonl"): "nowhere.jsonl can't be read: No such file or directory",
    ("stamp.write", *BY, "--wait", "soon"): "Invalid value for '--wait'",
}


def test_a_wrong_option_is_an_exit_code_of_2(onelane: Onelane) -> None:
    commands = [("enqueue", *words) for words in WRONG_OPTIONS]
    for sentence, done in zip(WRONG_OPTIONS.values(), onelane.side_by_side(*commands), strict=True):
        assert (done.code, done.out) == (2, ""), sentence
        assert sentence in done.err

"""`onelane lanes`, `lane` and `cancel`: what stands where, and what a person does to it while workers drain."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from redis import Redis

from tests.acceptance import stamps
from tests.acceptance.onelane import Command, Onelane, interrupt, until
from worker.client import Client
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import LaneBook
from worker.settings import Settings

BY = ("--actor", "U0EXAMPLE09")
Enqueue = Callable[..., None]
NOWHERE = "No job waits in a lane 'page:nowhere'; see `onelane lanes`.\n"


@pytest.fixture
def lane(page: str) -> str:
    """The lane of this test's page."""
    return f"page:{page}"


@pytest.fixture
def enqueue(settings: Settings, page: str) -> Enqueue:
    """Enqueue a job on this test's page; its text is its id's end."""
    client = Client(settings)

    def one(kind: type[stamps.OnPage], text: str, **fields: float) -> None:
        client.enqueue(kind(page=page, text=text, **fields), actor="U0EXAMPLE09", id=f"{page}-{text}")

    return one


@pytest.fixture
def unstick(database: psycopg.Connection, page: str) -> Callable[[], None]:
    """Let the page's jobs that fail or take long come to their end."""

    def end() -> None:
        database.execute("INSERT INTO unstuck VALUES (%s) ON CONFLICT DO NOTHING", [page])

    return end


@pytest.fixture
def stuck(
    settings: Settings, lanes: Redis, keys: Keys, lane: str, enqueue: Enqueue, unstick: Callable[[], None]
) -> Iterator[None]:
    """A lane whose head has failed, parked for longer than this test takes; two good jobs stand behind."""
    enqueue(stamps.StuckStamp, "head")
    enqueue(stamps.Stamp, "second")
    enqueue(stamps.Stamp, "third")
    book = LaneBook(lanes, keys)
    late = timedelta(seconds=10)
    until(
        lambda: (now := book.lane(lane)).state == "parked" and now.due - datetime.now(UTC) > late,
        "the head to fail",
        90,
    )
    yield
    unstick()
    Interventions(lanes, settings, "tests").resume(lane)


def show(onelane: Onelane, lane: str) -> dict[str, Any]:
    """What `lane show` says."""
    done = onelane("lane", "show", lane, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = done.json
    return found


def texts(database: psycopg.Connection, page: str) -> list[str]:
    """What was stamped on a page, in order."""
    rows = database.execute("SELECT text FROM stamps WHERE page = %s ORDER BY n", [page]).fetchall()
    return [text for (text,) in rows]


def end_of(database: psycopg.Connection, job_id: str) -> tuple[str, str, str | None]:
    """Status, code and error of a job in the ledger, once it is there."""
    sql = "SELECT status, code, error FROM onelane.ledger WHERE job_id = %s"
    found: tuple[str, str, str | None] = until(
        lambda: database.execute(sql, [job_id]).fetchone(), f"the end of {job_id}"
    )
    return found


def test_a_held_lane_stands_still_until_it_is_resumed_and_goes_on_in_order(
    onelane: Onelane, database: psycopg.Connection, enqueue: Enqueue, page: str, lane: str
) -> None:
    enqueue(stamps.SlowStamp, "one", seconds=0.5)
    held = onelane("lane", "hold", lane, "--reason", "the data is being mended", "--actor", "U0ADMIN")
    assert (held.code, held.err) == (0, "")
    assert re.fullmatch(rf"{lane} is held until `onelane lane resume {lane}`\. Jobs in it: \d\.\n", held.out)
    before = texts(database, page)

    for text in ("two", "three", "four"):
        enqueue(stamps.Stamp, text)
    found = show(onelane, lane)
    assert (found["state"], found["held"]["why"], found["held"]["by"], found["held"]["until"]) == (
        "held", "the data is being mended", "U0ADMIN", None,
    )  # fmt: skip
    assert [job["payload"]["text"] for job in found["waiting"]][-3:] == ["two", "three", "four"]
    assert (
        f"{lane} is held: the data is being mended (U0ADMIN). It goes on when resumed. "
        in onelane("lane", "show", lane).out
    )
    assert "the lane is held: the data is being mended" in onelane("job", f"{page}-two").out
    row = next(row for row in onelane("lanes", "--json").json["held"] if row["lane"] == lane)
    assert (row["state"], row["held"]["by"]) == ("held", "U0ADMIN")
    assert texts(database, page) == before

    resumed = onelane("lane", "resume", lane)
    assert (resumed.code, resumed.out) == (0, f"{lane} goes on.\n")
    until(lambda: len(texts(database, page)) == 4, "the jobs")
    assert texts(database, page) == ["one", "two", "three", "four"]


def test_a_hold_has_an_end_if_it_is_given_one(onelane: Onelane, enqueue: Enqueue, lane: str, page: str) -> None:
    enqueue(stamps.SlowStamp, "one", seconds=0.5)
    enqueue(stamps.Stamp, "two")
    done = onelane("lane", "hold", lane, "--reason", "a moment", "--for", "5s")
    assert (done.code, done.out[: len(lane) + 20]) == (0, f"{lane} is held for 5.0 s. ")
    held = show(onelane, lane)
    assert (held["state"], held["held"]["until"]) == ("held", held["next_try"])
    assert onelane("job", f"{page}-two", "--wait", "20").code == 0


def test_a_batch_that_a_worker_has_in_hand_ends_before_the_lane_stands_still(
    onelane: Onelane,
    lanes: Redis,
    keys: Keys,
    database: psycopg.Connection,
    enqueue: Enqueue,
    unstick: Callable[[], None],
    page: str,
    lane: str,
) -> None:
    enqueue(stamps.SlowStamp, "one", seconds=8)
    until(lambda: lanes.zscore(keys.named("claimed"), lane), "the claim")
    found = show(onelane, lane)
    assert found["state"] == "claimed"
    assert re.fullmatch(r"worker[12]@\S+/[0-9a-f-]{36}", found["claimed_by"])
    enqueue(stamps.Stamp, "two")
    hold = Command(onelane, ("lane", "hold", lane, "--reason", "wait"))
    until(lambda: lanes.hexists(keys.named("held"), lane), "the hold")
    assert texts(database, page) == []
    unstick()
    held = hold.done()
    assert held.out == f"{lane} is held until `onelane lane resume {lane}`. Jobs in it: 1.\n"
    assert texts(database, page) == ["one"]
    assert show(onelane, lane)["state"] == "held"
    assert onelane("lane", "resume", lane).code == 0
    assert end_of(database, f"{page}-two")[0] == "applied"


@pytest.mark.usefixtures("stuck")
def test_a_parked_lane_tells_its_tries_and_tries_again_at_once_when_told_to(
    onelane: Onelane, database: psycopg.Connection, page: str, lane: str
) -> None:
    found = show(onelane, lane)
    assert found["attempts"] >= 1
    assert datetime.fromisoformat(found["first_attempt"]) > datetime.now(UTC) - timedelta(minutes=2)
    assert [job["id"] for job in found["waiting"]] == [f"{page}-{text}" for text in ("head", "second", "third")]
    shown = onelane("lane", "show", lane).out
    assert f"{lane} is parked: its head failed, and is tried again in " in shown
    assert (found["error"], shown.count(f"RuntimeError: {page} is stuck\n")) == (f"RuntimeError: {page} is stuck", 1)
    lines = [line for line in onelane("lanes", "--limit", "100").out.splitlines() if line.startswith(f"{lane} ")]
    assert {line.endswith(f"  RuntimeError: {page} is stuck") for line in lines} == {True}
    parked = onelane("lanes", "--json", "--limit", "100").json["parked"]
    assert lane in [row["lane"] for row in parked]
    assert parked == sorted(parked, key=lambda row: row["next_try"])

    database.execute("INSERT INTO unstuck VALUES (%s)", [page])
    done = onelane("lane", "retry-now", lane)
    assert (done.code, done.out) == (0, f"{lane} tries its head again now.\n")
    assert onelane("job", f"{page}-third", "--wait", "20").code == 0
    assert texts(database, page) == ["head", "second", "third"]


@pytest.mark.usefixtures("stuck")
def test_retry_now_does_not_lift_a_hold(onelane: Onelane, lane: str) -> None:
    assert onelane("lane", "hold", lane, "--reason", "no").code == 0
    done = onelane("lane", "retry-now", lane)
    assert (done.code, done.err) == (1, f"{lane} is held; `onelane lane resume {lane}` lets it go on.\n")
    assert show(onelane, lane)["state"] == "held"


@pytest.mark.usefixtures("stuck")
def test_skip_makes_a_dead_letter_of_the_head_and_the_rest_goes_on(
    onelane: Onelane, database: psycopg.Connection, page: str, lane: str
) -> None:
    done = onelane("lane", "skip", lane, "--reason", "it can't work", "--actor", "U0ADMIN")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"stamp.stuck {page}-head is a dead letter now: see `onelane dead show {page}-head`.\n")
    assert end_of(database, f"{page}-head") == ("dead", "skipped", "skipped by U0ADMIN: it can't work")
    assert onelane("job", f"{page}-third", "--wait", "20").code == 0
    assert texts(database, page) == ["second", "third"]
    waited = onelane("job", f"{page}-head", "--json").json
    assert (waited["where"], waited["status"], waited["attempts"] >= 1) == ("ledger", "dead", True)


@pytest.mark.usefixtures("stuck")
def test_skip_leaves_a_held_lane_held(onelane: Onelane, database: psycopg.Connection, page: str, lane: str) -> None:
    assert onelane("lane", "hold", lane, "--reason", "look").code == 0
    done = onelane("lane", "skip", lane)
    assert (done.code, "It goes on when resumed. Jobs in it: 2." in done.out) == (0, True)
    assert end_of(database, f"{page}-head")[:2] == ("dead", "skipped")
    found = show(onelane, lane)
    assert (found["state"], found["attempts"], len(found["waiting"])) == ("held", 0, 2)
    assert onelane("lane", "resume", lane).code == 0
    assert end_of(database, f"{page}-third")[0] == "applied"


@pytest.mark.usefixtures("stuck")
def test_cancel_takes_a_job_out_of_the_middle_of_a_lane(
    onelane: Onelane, database: psycopg.Connection, page: str, lane: str
) -> None:
    done = onelane("cancel", f"{page}-second", "--reason", "a typo", "--actor", "U0ADMIN")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        f"{page}-second will not be applied. The ledger will say so when its turn comes: it is number 2 in {lane}, "
        "which is parked.\n"
    )
    waiting = show(onelane, lane)["waiting"]
    assert [job["cancelled"] and job["cancelled"]["why"] for job in waiting] == [None, "a typo", None]
    database.execute("INSERT INTO unstuck VALUES (%s)", [page])
    assert onelane("lane", "retry-now", lane).code == 0
    assert end_of(database, f"{page}-third")[0] == "applied"
    assert end_of(database, f"{page}-second")[:2] == ("cancelled", "cancelled")
    assert texts(database, page) == ["head", "third"]
    assert onelane("job", f"{page}-second").out.startswith("An operator cancelled this: a typo\n")


@pytest.mark.usefixtures("stuck")
def test_cancel_ends_the_head_of_a_parked_lane_at_once(
    onelane: Onelane, database: psycopg.Connection, page: str
) -> None:
    done = onelane("cancel", f"{page}-head")
    assert (done.code, done.out) == (0, f"{page}-head is cancelled.\n")
    assert end_of(database, f"{page}-third")[0] == "applied"
    assert texts(database, page) == ["second", "third"]


def test_cancel_says_when_it_is_too_late(
    onelane: Onelane,
    lanes: Redis,
    keys: Keys,
    enqueue: Enqueue,
    unstick: Callable[[], None],
    page: str,
    lane: str,
) -> None:
    enqueue(stamps.SlowStamp, "one", seconds=8)
    until(lambda: lanes.zscore(keys.named("claimed"), lane), "the claim")
    cancel = Command(onelane, ("cancel", f"{page}-one"))
    until(lambda: lanes.hlen(keys.named("cancelled")), "the cancellation")
    unstick()
    done = cancel.done()
    assert (done.code, done.err) == (1, f"Too late: a worker had it in hand. Stamped one on {page}, slowly.\n")
    done = onelane("cancel", f"{page}-one")
    assert (done.code, done.err) == (1, f"Only a job in a lane can be cancelled. Stamped one on {page}, slowly.\n")
    assert lanes.hlen(keys.named("cancelled")) == 0


def test_wait_empty_ends_when_no_job_waits_and_says_why_when_jobs_stay(
    onelane: Onelane,
    lanes: Redis,
    keys: Keys,
    database: psycopg.Connection,
    enqueue: Enqueue,
    unstick: Callable[[], None],
    page: str,
    lane: str,
) -> None:
    enqueue(stamps.SlowStamp, "one", seconds=0.5)
    done = onelane("lanes", "--wait-empty", "60")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert texts(database, page) == ["one"]

    enqueue(stamps.SlowStamp, "two", seconds=8)
    done = onelane("lanes", "--wait-empty", "0.5")
    assert done.code == 1
    assert re.fullmatch(
        r"After 0\.5 s: jobs waiting: \d+; lanes: \d+ ready, \d+ claimed by workers, .* held\.\n", done.err
    )

    hold = Command(onelane, ("lane", "hold", lane, "--reason", "stay"))
    until(lambda: lanes.hexists(keys.named("held"), lane), "the hold")
    unstick()
    assert hold.done().code == 0
    enqueue(stamps.Stamp, "three")
    began = datetime.now(UTC)
    done = onelane("lanes", "--wait-empty", "60")
    assert (done.code, datetime.now(UTC) - began < timedelta(seconds=30)) == (1, True)
    assert done.err == f"All that is left is held (jobs: 1; lanes: {lane}).\n"
    assert onelane("lane", "resume", lane).code == 0


def test_follow_ups_in_the_outbox_are_waited_for(onelane: Onelane, database: psycopg.Connection) -> None:
    left = []

    def is_seen() -> bool:
        left.append(f"left-behind-{len(left)}")
        database.execute(
            "INSERT INTO onelane.outbox (topic, key, kind, payload, actor)"
            " VALUES ('job', %s, 'stamp.write', '{\"page\": \"outbox\", \"text\": \"t\"}', 'U0EXAMPLE09')",
            [left[-1]],
        )
        return onelane("lanes", "--wait-empty", "0").code == 1

    until(is_seen, "a follow-up that stays, as no drain comes by")
    assert onelane("enqueue", "stamp.write", "page=outbox", "text=s", *BY).code == 0
    assert onelane("lanes", "--wait-empty", "60").code == 0
    assert sorted(texts(database, "outbox")) == ["s", *["t"] * len(left)]


def test_watch_looks_again_until_ctrl_c(
    onelane: Onelane, enqueue: Enqueue, unstick: Callable[[], None], lane: str
) -> None:
    log = onelane.directory / "watch"
    watching = onelane.start("lanes", "--watch", log=log)
    until(lambda: "Jobs waiting: " in log.read_text(), "the first look")
    enqueue(stamps.SlowStamp, "one", seconds=8)
    until(lambda: lane in log.read_text(), "the lane")
    unstick()
    assert interrupt(watching) == 0
    assert "Traceback" not in log.read_text()


IMPOSSIBLE = [
    (["lane", "hold", "page:nowhere", "--reason", "r"], 1, NOWHERE),
    (["lane", "show", "page:nowhere"], 1, NOWHERE),
    (["lane", "resume", "page:nowhere"], 1, NOWHERE),
    (["lane", "retry-now", "page:nowhere"], 1, NOWHERE),
    (["lane", "skip", "page:nowhere"], 1, NOWHERE),
    (["lane", "show", "a b"], 1, "lane: 'a b' is no lane name; expected 1 to 200 characters without blanks"),
    (["lane", "hold", "page:x", "--reason", "r", "--for", "soon"], 2, "expected a time span as 90s, 15m, 2h or 3d"),
    (["lane", "hold", "page:x", "--reason", "r", "--for", "0s"], 2, "expected a time span as 90s, 15m, 2h or 3d"),
    (["lane", "hold", "page:x"], 2, "Missing option '--reason'"),
    (["lane", "hold", "page:x", "--reason", ""], 2, "expected 1 to 500 printable characters on one line"),
    (["lane", "hold", "page:x", "--reason", "r", "--actor", "a b"], 2, "expected 1 to 50 characters without"),
    (["cancel", "nothing-like-it"], 1, "No job 'nothing-like-it' waits, and none has ended: is the id right"),
    (["cancel", "no id"], 2, "expected an id as `enqueue` gave it"),
    (["job", "no id"], 2, "expected an id as `enqueue` gave it"),
    (["lanes", "--limit", "0"], 2, "Invalid value for '--limit'"),
]


def test_what_can_not_be_done_is_said(onelane: Onelane) -> None:
    for (words, code, sentence), done in zip(
        IMPOSSIBLE, onelane.side_by_side(*(words for words, _, _ in IMPOSSIBLE)), strict=True
    ):
        assert (done.code, done.out) == (code, ""), words
        assert sentence in done.err
        assert "Traceback" not in done.err

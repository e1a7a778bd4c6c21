"""Promise 4, and the judgement of errors: what happens to a failing job, and to all others."""

import time
from datetime import UTC, datetime

import pytest

from tests.integration.kinds import Copy, Engrave, Forgetful, Harm, Seal, Write
from tests.integration.notebook import Notebook
from worker.claim import Claim
from worker.lane_book import LaneBook

PAGES = [f"p{n:02}" for n in range(50)]


def test_a_failing_job_among_fifty_lanes_costs_the_others_nothing_but_its_batch(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40001")
    for number in range(3):
        for page in PAGES:
            notebook.enqueue(Write(page=page, text="bad" if (page, number) == ("p07", 1) else str(number)))
    worker = notebook.patient_worker()
    assert worker.drain() == {"applied": 148, "retried": 1}
    for page in PAGES:
        assert notebook.lines(page) == (["0"] if page == "p07" else ["0", "1", "2"])
    assert notebook.rows("SELECT DISTINCT attempts FROM onelane.ledger") == [{"attempts": 1}]
    assert notebook.tries_of("bad") == 4  # in the batch, its lane's and half of that, nobody's attempts; and alone
    assert notebook.head_memory("page:p07") == (1, 0)

    notebook.enqueue(*(Write(page=page, text="more") for page in PAGES))
    assert worker.drain() == {"applied": 49}
    assert notebook.tries_of("bad") == 4
    assert notebook.redis.llen(notebook.keys.lane("page:p07")) == 3


@pytest.mark.parametrize("place", [0, 200, 511])
def test_a_bad_job_among_hundreds_of_its_lane_is_found_by_halving(notebook: Notebook, place: int) -> None:
    notebook.make_faulty("bad", "22003")
    texts = [str(number) for number in range(512)]
    texts[place] = "bad"
    notebook.enqueue(*(Write(page="p", text=text) for text in texts))
    assert notebook.worker(claim_jobs=512).drain() == {"applied": 511, "dead": 1}
    assert notebook.lines("p") == [text for text in texts if text != "bad"]
    assert notebook.tries_of("bad") == 10
    assert notebook.rows("SELECT count(DISTINCT xmin::text) FROM onelane.ledger") == [{"count": 10}]


def test_a_lane_that_failed_is_claimed_alone_and_tried_once_an_attempt(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40001")
    notebook.enqueue(Write(page="bad", text="bad"), Write(page="bad", text="next"), Write(page="good", text="x"))
    worker = notebook.patient_worker()
    worker.drain()
    notebook.end_backoffs()
    notebook.enqueue(Write(page="good", text="y"))
    claimer = worker.claimer()
    alone, rest = claimer.claim(), claimer.claim()
    assert isinstance(alone, Claim)
    assert isinstance(rest, Claim)
    assert [(lane.name, len(lane.jobs), lane.attempts) for lane in alone.lanes] == [("page:bad", 1, 1)]
    assert [lane.name for lane in rest.lanes] == ["page:good"]


def test_a_transient_error_is_tried_with_growing_pauses_and_then_a_dead_letter(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "57014")
    notebook.enqueue(Write(page="p", text="bad"), Write(page="p", text="after"))
    worker = notebook.worker(max_attempts=4, backoff_base_ms=50_000, backoff_cap_ms=150_000)
    for attempt in (1, 2, 3):
        assert worker.drain() == {"retried": 1}
        assert notebook.head_memory("page:p") == (attempt, 0)
        (_, ready) = notebook.redis.zrange(notebook.keys.named("ready"), 0, 0, withscores=True)[0]
        assert 0 <= ready / 1e6 - time.time() <= min(50 * 2 ** (attempt - 1), 150)
        notebook.end_backoffs()
    assert worker.drain() == {"dead": 1, "applied": 1}
    assert notebook.tries_of("bad") == 5
    assert notebook.lines("p") == ["after"]
    assert notebook.ends() == [("dead", "exhausted"), ("applied", "written")]
    assert notebook.head_memory("page:p") == (0, 0)


def test_a_dead_letter_keeps_all_that_is_needed_to_understand_and_repeat_it(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40P01")
    (handle,) = notebook.enqueue(Write(page="p", text="bad"), reason="because")
    (raw,) = notebook.redis.lrange(notebook.keys.lane("page:p"), 0, -1)
    began = time.time()
    notebook.drain_all(notebook.worker("the worker", max_attempts=3))
    row = notebook.ended(handle.id)
    assert bytes(row["body"]) == raw
    assert (row["status"], row["code"], row["attempts"], row["worker"]) == ("dead", "exhausted", 3, "the worker")
    assert (row["error_class"], row["sqlstate"]) == ("DeadlockDetected", "40P01")
    assert "the text is faulty: bad" in row["error"]
    assert row["traceback"].endswith(f"{row['error']}\n")
    assert (row["kind"], row["lane"], row["actor"], row["reason"]) == (
        "notebook.write",
        "page:p",
        "U0WRITER",
        "because",
    )
    assert began - 1 < row["enqueued_at"].timestamp() <= row["first_attempt_at"].timestamp()
    assert row["first_attempt_at"] < row["finished_at"]
    outcome = handle.wait(1)
    assert (outcome.status, outcome.code) == ("dead", "exhausted")
    assert "operators" in outcome.message


@pytest.mark.parametrize("sqlstate", ["22003", "23502", "23505", "23514", "42P01", "0A000", "21000"])
def test_an_error_that_never_goes_away_is_a_dead_letter_at_once(notebook: Notebook, sqlstate: str) -> None:
    notebook.make_faulty("bad", sqlstate)
    notebook.enqueue(Write(page="p", text="bad"), Write(page="p", text="after"), Write(page="q", text="other"))
    assert notebook.worker().drain() == {"dead": 1, "applied": 2}
    assert notebook.rows("SELECT code, sqlstate, attempts FROM onelane.ledger WHERE status = 'dead'") == [
        {"code": "permanent", "sqlstate": sqlstate, "attempts": 1}
    ]
    assert notebook.lines("p") == ["after"]


def test_a_job_that_waits_in_vain_for_another_lane_is_rejected_in_words_for_the_person(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Copy(page="b", other="nowhere"))
    notebook.enqueue(Write(page="b", text="after"))
    assert notebook.drain_all(notebook.worker(order_attempts=3)) == {"retried": 2, "rejected": 1, "applied": 1}
    outcome = handle.wait(1)
    assert (outcome.status, outcome.code, outcome.message) == ("rejected", "no_such_page", "There is no page nowhere.")
    assert notebook.ended(handle.id)["attempts"] == 3
    assert notebook.lines("b") == ["after"]


def test_a_missing_row_of_another_lane_is_waited_for_and_then_a_dead_letter(notebook: Notebook) -> None:
    (late,) = notebook.enqueue(Seal(page="p", other="late"))
    worker = notebook.patient_worker(order_attempts=3)
    assert worker.drain() == {"retried": 1}
    notebook.enqueue(Write(page="late", text="here"), Seal(page="q", other="never"))
    notebook.end_backoffs()
    notebook.drain_all(notebook.worker(order_attempts=3))
    assert notebook.ended(late.id)["status"] == "applied"
    (dead,) = notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead'")
    assert (dead["code"], dead["sqlstate"], dead["attempts"]) == ("exhausted", "23503", 3)


@pytest.mark.parametrize(
    ("job", "error"), [(Harm(page="p", how="unforeseen"), "KeyError"), (Forgetful(page="p"), "StatementBroken")]
)
def test_an_error_that_nobody_foresaw_gets_its_attempts_and_is_then_shown(
    notebook: Notebook, job: Harm | Forgetful, error: str
) -> None:
    (handle,) = notebook.enqueue(job)
    assert notebook.drain_all(notebook.worker(max_attempts=3)) == {"retried": 2, "dead": 1}
    row = notebook.ended(handle.id)
    assert (row["code"], row["error_class"], row["sqlstate"], row["attempts"]) == ("exhausted", error, None, 3)


def test_a_dead_letter_of_a_kind_that_holds_its_lane_stops_it_until_a_person_resumes_it(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "22003")
    notebook.enqueue(Engrave(page="p", text="one"), Engrave(page="p", text="bad"), Engrave(page="p", text="two"))
    notebook.enqueue(Write(page="q", text="other"))
    worker = notebook.worker()
    assert worker.drain() == {"applied": 2, "dead": 1}
    assert worker.drain() == {}
    assert notebook.lines("p") == ["one"]
    assert notebook.lines("q") == ["other"]
    notebook.enqueue(Engrave(page="p", text="three"))
    assert worker.drain() == {}
    assert {name.partition(":")[0] for name in worker.alerts.open()} == {"held", "dead"}

    assert notebook.script("resume", "page:p", lane="page:p")[0] == b"resumed"
    assert worker.drain() == {"applied": 2}
    assert notebook.lines("p") == ["one", "two", "three"]
    assert notebook.left_in_redis() == set()


def test_a_kinds_own_number_of_attempts_counts(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40001")
    (handle,) = notebook.enqueue(Engrave(page="p", text="bad"))
    worker = notebook.worker(max_attempts=7)
    assert worker.drain() == {"retried": 1, "dead": 1}
    assert notebook.ended(handle.id)["attempts"] == 2


def test_a_head_whose_workers_die_is_claimed_alone_and_after_some_deaths_a_dead_letter(notebook: Notebook) -> None:
    notebook.enqueue(*(Write(page="p", text=text) for text in ("deadly", "after")))
    for death in range(3):
        claim = notebook.worker(f"w{death}").claimer().claim()
        assert isinstance(claim, Claim)
        assert [(len(lane.jobs), lane.crashes) for lane in claim.lanes] == [(1 if death else 2, death)]
        notebook.end_leases()
    assert notebook.head_memory("page:p") == (0, 2)  # the third death is found by the next claim
    assert notebook.drain_all(notebook.worker(max_deliveries=3)) == {"dead": 1, "applied": 1}
    (dead,) = notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead'")
    assert (dead["code"], dead["error_class"]) == ("crash_loop", "CrashLoop")
    assert notebook.lines("p") == ["after"]
    assert notebook.left_in_redis() == set()


def test_a_death_costs_the_other_lanes_of_the_claim_nothing_but_a_turn_alone(notebook: Notebook) -> None:
    for number in range(3):
        notebook.enqueue(*(Write(page=page, text=str(number)) for page in PAGES[:10]))
    notebook.worker("dying").claimer().claim()
    notebook.end_leases()
    assert notebook.drain_all() == {"applied": 30}
    for page in PAGES[:10]:
        assert notebook.lines(page) == ["0", "1", "2"]
    assert notebook.redis.exists(notebook.keys.named("crashes")) == 0


def test_a_lane_remembers_what_its_head_failed_of_last_and_forgets_it_with_the_head(notebook: Notebook) -> None:
    worker, book = notebook.patient_worker(), LaneBook(notebook.redis, notebook.keys)
    text = "x" * 2000
    notebook.make_faulty(text, "40001")
    notebook.enqueue(Write(page="p", text=text), Write(page="p", text="next"))
    for attempts in (1, 2):
        notebook.end_backoffs()
        assert worker.drain() == {"retried": 1}
        lane = book.lane("page:p")
        assert (lane.attempts, lane.error) == (
            attempts,
            ("SerializationFailure (SQLSTATE 40001): the text is faulty: " + text)[:500],
        )
    notebook.mend(text)
    notebook.make_faulty("next", "40P01")
    notebook.end_backoffs()
    assert worker.drain() == {"applied": 1, "retried": 1}
    lane = book.lane("page:p")
    assert lane.error is not None
    assert lane.first_attempt is not None
    assert (lane.attempts, lane.error.partition(":")[0]) == (1, "DeadlockDetected (SQLSTATE 40P01)")
    assert (datetime.now(UTC) - lane.first_attempt).total_seconds() < 60

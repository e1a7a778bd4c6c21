"""Whoever gave a URL with a job is told there how it ended: once, in order, whatever the receiver does."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.feedback.receiver import Receiver
from tests.integration.kinds import Copy, Engrave, Redraw, Write
from tests.integration.notebook import ACTOR, Notebook, eventually
from worker.batch import apply
from worker.claim import Claim, Claimer
from worker.dead_letters.edit import Change, edit
from worker.dead_letters.filter import Filter
from worker.dead_letters.replay import replay
from worker.embedded import start_redis
from worker.enqueue import enqueue
from worker.entry import Entry
from worker.errors import InvalidJob
from worker.intervention import Interventions
from worker.job import Job
from worker.replies import AGAIN, MOST_POSTERS, REPLY, Replier, post, reply_keys, reply_order
from worker.skip import Skipper

DEAD = "This could not be carried out. The operators have been told and can repeat it."


def ask(notebook: Notebook, receiver: Receiver, path: str, *jobs: Job, **more: str) -> list[str]:
    """Enqueue jobs whose outcomes are to be told at this path; their ids."""
    return [handle.id for handle in notebook.enqueue(*jobs, reply_to=receiver.url(path), **more)]


def nothing_waits(notebook: Notebook) -> bool:
    keys = reply_keys(notebook.settings)
    return not notebook.redis.exists(keys.named("pending"), keys.named("ready"), keys.named("claimed"))


def told(notebook: Notebook, receiver: Receiver, path: str) -> list[str]:
    """What was told at this path, when nothing waits to be told any more."""
    assert notebook.rows("SELECT key FROM onelane.outbox") == []
    eventually(lambda: nothing_waits(notebook), "no reply waits")
    return receiver.taken[path]


def counted(notebook: Notebook) -> dict[str, int]:
    found = notebook.redis.hgetall(notebook.keys.named("tally"))
    return {name.decode(): int(n) for name, n in found.items() if name.startswith(b"replies|")}


@pytest.mark.usefixtures("replier")
def test_each_outcome_is_told_once_in_the_order_of_the_ends_and_to_the_person_alone(
    notebook: Notebook, receiver: Receiver
) -> None:
    notebook.make_faulty("bad", "22001")
    ask(notebook, receiver, "ann", Write(page="p", text="a"), Redraw(page="p"), Redraw(page="p"))
    assert notebook.drain_all() == {"applied": 2, "unchanged": 1}
    jobs = [Write(page="p", text="bad"), Copy(page="p", other="nowhere"), Write(page="p", text="z")]
    ask(notebook, receiver, "ann", *jobs)
    notebook.enqueue(Write(page="p", text="nobody asks"))
    (off,) = ask(notebook, receiver, "ann", Write(page="p", text="off"))
    assert Interventions(notebook.redis, notebook.settings, "U0ADMIN").cancel(off, "a typo")
    counts = notebook.drain_all(notebook.worker(max_attempts=2, order_attempts=2))
    assert counts == {"applied": 2, "dead": 1, "rejected": 1, "cancelled": 1, "retried": 1}
    assert told(notebook, receiver, "ann") == [
        "U0WRITER wrote a on p.",
        "notebook.redraw: drawn.",
        "An equal job right before this one has done it.",
        DEAD,
        "There is no page nowhere.",
        "U0WRITER wrote z on p.",
        "An operator cancelled this: a typo",
    ]
    assert receiver.bodies[0] == {
        "text": "U0WRITER wrote a on p.",
        "response_type": "ephemeral",
        "replace_original": False,
    }
    assert len(receiver.asked) == 7
    eventually(lambda: counted(notebook) == {"replies|posted": 7}, "they are counted")


@pytest.mark.usefixtures("replier")
def test_a_job_that_will_be_tried_again_is_silent_until_it_ends(notebook: Notebook, receiver: Receiver) -> None:
    worker = notebook.patient_worker()
    notebook.make_faulty("late", "40001")
    ask(notebook, receiver, "ann", Write(page="p", text="late"))
    ask(notebook, receiver, "bob", Copy(page="q", other="r"))
    for _ in range(2):
        notebook.end_backoffs()
        assert worker.drain() == {"retried": 2}
        assert (told(notebook, receiver, "ann"), told(notebook, receiver, "bob")) == ([], [])
    notebook.mend("late")
    notebook.enqueue(Write(page="r", text="now"))
    assert worker.drain() == {"applied": 1}
    notebook.end_backoffs()
    assert worker.drain() == {"applied": 2}
    assert told(notebook, receiver, "ann") == ["U0WRITER wrote late on p."]
    assert told(notebook, receiver, "bob") == ["notebook.copy: copied."]


@pytest.mark.usefixtures("replier")
def test_a_dead_letter_is_told_and_its_replays_are_told_again(notebook: Notebook, receiver: Receiver) -> None:
    """Also one that an operator skipped, and after an edit the URL is still known."""
    notebook.make_faulty("bad", "22001")
    (bad,) = ask(notebook, receiver, "ann", Engrave(page="p", text="bad"))
    worker = notebook.worker()
    assert worker.drain() == {"dead": 1}
    assert told(notebook, receiver, "ann") == [DEAD]
    for expected in ([DEAD, DEAD], [DEAD] * 3):
        replay(notebook.connection, Filter(ids=(bad,)), actor=ACTOR)
        notebook.script("resume", "page:p", lane="page:p")
        assert worker.drain()["dead"] == 1
        assert told(notebook, receiver, "ann") == expected
    edit(notebook.connection, bad, Change.read(["text=good"]), notebook.settings, actor=ACTOR)
    replay(notebook.connection, Filter(ids=(bad,)), actor=ACTOR)
    notebook.script("resume", "page:p", lane="page:p")
    notebook.drain_all(worker)
    assert told(notebook, receiver, "ann")[3:] == ["notebook.engrave: written."]
    ask(notebook, receiver, "ann", Write(page="q", text="stuck"))
    Skipper(notebook.redis, notebook.connection, notebook.settings, ACTOR).skip("page:q", "it is stuck", 5)
    notebook.drain_all(worker)
    assert told(notebook, receiver, "ann")[4:] == [DEAD]


@pytest.mark.usefixtures("replier")
def test_a_job_of_somebodys_transaction_is_told_and_so_is_one_that_is_refused_after_it(
    notebook: Notebook, receiver: Receiver
) -> None:
    with notebook.connection.transaction():
        notebook.client.enqueue(
            Write(page="p", text="a"), actor=ACTOR, reply_to=receiver.url("ann"), connection=notebook.connection
        )
        notebook.client.enqueue(
            Write(page="q", text="b"), actor=ACTOR, reply_to=receiver.url("bob"), connection=notebook.connection
        )
    notebook.connection.execute("UPDATE onelane.outbox SET payload = '{}' WHERE payload ->> 'page' = 'q'")
    notebook.drain_all()
    notebook.drain_all()
    assert told(notebook, receiver, "ann") == ["U0WRITER wrote a on p."]
    assert told(notebook, receiver, "bob") == [DEAD]


@pytest.mark.usefixtures("replier")
def test_what_a_killed_worker_had_committed_is_told_once(notebook: Notebook, receiver: Receiver) -> None:
    """It died before it could deliver the outbox or acknowledge the job."""
    ask(notebook, receiver, "ann", Write(page="p", text="a"))
    dying = notebook.worker("dying")
    claim = dying.claimer().claim()
    assert isinstance(claim, Claim)
    entries = {lane.name: [Entry.read(lane.name, raw, 1, 1) for raw in lane.jobs] for lane in claim.lanes}
    assert apply(dying.session.connection(time.monotonic() + 5), claim.token, "dying", entries).outbox
    assert [row["topic"] for row in notebook.rows("SELECT topic FROM onelane.outbox")] == ["reply"]
    assert receiver.asked == []
    notebook.end_leases()
    assert notebook.drain_all() == {}
    assert told(notebook, receiver, "ann") == ["U0WRITER wrote a on p."]


def die_after_posting(notebook: Notebook) -> None:
    """A worker posts the reply that waits, and is killed before it can acknowledge it; its lease is over."""
    keys = reply_keys(notebook.settings)
    claimer = Claimer(notebook.redis, keys, notebook.settings, f"dying:{uuid4().hex}", call=lambda _: None)
    claims: list[Claim] = []

    def claimed() -> bool:
        claim = claimer.claim()
        claims.extend([claim] if isinstance(claim, Claim) else [])
        return bool(claims)

    eventually(claimed, "the reply is claimed")
    (lane,) = claims[0].lanes
    assert post(REPLY.validate_json(lane.jobs[0])).result == "posted"
    for number, name in enumerate(notebook.redis.zrange(keys.named("claimed"), 0, -1)):
        notebook.redis.zadd(keys.named("claimed"), {name: number + 1}, xx=True)


def reply_to_ann(notebook: Notebook, receiver: Receiver, *texts: str) -> None:
    orders = [reply_order(text, text, receiver.url("ann"), text, datetime.now(UTC)) for text in texts]
    enqueue(notebook.redis, reply_keys(notebook.settings), notebook.settings, orders)


def test_a_reply_whose_poster_was_killed_before_it_noted_that_says_that_it_may_be_a_repetition(
    notebook: Notebook, receiver: Receiver
) -> None:
    reply_to_ann(notebook, receiver, "Done.", "Next.")
    die_after_posting(notebook)
    replier = Replier(notebook.settings)
    replier.start()
    try:
        assert told(notebook, receiver, "ann") == ["Done.", "Done." + AGAIN, "Next."]
    finally:
        replier.stop()


def test_a_reply_under_which_posters_die_again_and_again_is_given_up_and_the_next_one_goes_on(
    notebook: Notebook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    reply_to_ann(notebook, receiver, "Done.", "Next.")
    for _ in range(MOST_POSTERS):
        die_after_posting(notebook)
    replier = Replier(notebook.settings)
    replier.start()
    try:
        with caplog.at_level(logging.WARNING, "worker.replies"):
            assert told(notebook, receiver, "ann") == ["Done."] * MOST_POSTERS + ["Next."]
    finally:
        replier.stop()
    assert caplog.messages == [
        "The reply to job Done. was given up after 1 attempts: 3 workers died while they posted it."
    ]
    assert MOST_POSTERS < 5, "Slack takes five posts at a URL"


def test_a_redis_that_is_away_after_the_post_is_told_when_it_is_back_and_nothing_is_posted_twice(
    notebook: Notebook, receiver: Receiver, tmp_path: Path
) -> None:
    with start_redis(tmp_path / "own", durable=True) as server:
        own = Notebook(notebook.settings.model_copy(update={"redis_url": server.url}))
        receiver.holding["ann"] = threading.Event()
        reply_to_ann(own, receiver, "Done.", "Next.")
        replier = Replier(own.settings)
        replier.start()
        try:
            eventually(lambda: len(receiver.asked) == 1, "the first is asked")
            server.kill()
            receiver.holding["ann"].set()
            eventually(lambda: receiver.taken["ann"] == ["Done."], "the first is taken")
            server.start()
            assert told(own, receiver, "ann") == ["Done.", "Next."]
            assert len(receiver.asked) == 2
        finally:
            replier.stop()
            own.close()


@pytest.mark.usefixtures("replier")
def test_a_reply_that_is_delivered_twice_is_told_once(notebook: Notebook, receiver: Receiver) -> None:
    keys = reply_keys(notebook.settings)
    order = reply_order("job:7", "job", receiver.url("ann"), "Done.", datetime.now(UTC))
    assert enqueue(notebook.redis, keys, notebook.settings, [order, order])[1] == ["queued", "duplicate"]
    assert told(notebook, receiver, "ann") == ["Done."]
    assert enqueue(notebook.redis, keys, notebook.settings, [order])[1] == ["done"]
    assert told(notebook, receiver, "ann") == ["Done."]
    assert len(receiver.asked) == 1


@pytest.mark.usefixtures("replier")
def test_a_receiver_that_fails_is_asked_again_and_its_replies_keep_their_order(
    notebook: Notebook, receiver: Receiver
) -> None:
    receiver.answers["ann"] = [(500, "rollup_error", {}), (503, "", {}), (403, "invalid_token", {})]
    ask(notebook, receiver, "ann", *(Write(page=page, text=page) for page in "pqr"))
    ask(notebook, receiver, "bob", Write(page="s", text="s"))
    notebook.drain_all()
    assert told(notebook, receiver, "bob") == ["U0WRITER wrote s on s."]
    assert told(notebook, receiver, "ann") == [f"U0WRITER wrote {page} on {page}." for page in "pqr"]
    assert len(receiver.times("ann")) == 6
    eventually(lambda: counted(notebook) == {"replies|posted": 4}, "they are counted")


@pytest.mark.usefixtures("replier")
def test_a_receiver_that_limits_the_rate_is_asked_again_when_it_says(notebook: Notebook, receiver: Receiver) -> None:
    receiver.answers["ann"] = [(429, "", {"Retry-After": "1"}), (429, "", {"Retry-After": "soon"})]
    ask(notebook, receiver, "ann", Write(page="p", text="1"), Write(page="p", text="2"))
    notebook.drain_all()
    assert told(notebook, receiver, "ann") == ["U0WRITER wrote 1 on p.", "U0WRITER wrote 2 on p."]
    first, second, third, fourth = receiver.times("ann")
    assert second - first >= 1.0
    assert fourth > third > second


GONE = [(404, "expired_url"), (410, ""), (403, "used_url\n"), (403, "expired_url")]


@pytest.mark.usefixtures("replier")
@pytest.mark.parametrize(("status", "body"), GONE)
def test_a_url_that_takes_nothing_any_more_is_given_up_at_once(
    notebook: Notebook, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int, body: str
) -> None:
    receiver.answers["ann"] = [(status, body, {})]
    (job,) = ask(notebook, receiver, "ann", Write(page="p", text="a"))
    with caplog.at_level(logging.WARNING, "worker.replies"):
        notebook.drain_all()
        assert told(notebook, receiver, "ann") == []
        eventually(lambda: bool(caplog.messages), "it is logged")
    assert caplog.messages == [f"The reply to job {job} was given up after 1 attempts: the answer was {status}."]
    eventually(lambda: counted(notebook) == {"replies|given_up": 1}, "they are counted")
    assert len(receiver.asked) == 1


@pytest.mark.usefixtures("replier")
def test_a_reply_that_was_not_taken_for_half_an_hour_is_given_up_and_the_next_one_goes_on(
    notebook: Notebook, receiver: Receiver
) -> None:
    receiver.answers["ann"] = [(500, "", {})]
    old, new = datetime.now(UTC) - timedelta(minutes=30, seconds=1), datetime.now(UTC)
    orders = [
        reply_order("old", "old", receiver.url("ann"), "Too late.", old),
        reply_order("asked for long", "j", receiver.url("ann"), "Still taken.", old),
        reply_order("new", "new", receiver.url("ann"), "In time.", new),
    ]
    enqueue(notebook.redis, reply_keys(notebook.settings), notebook.settings, orders)
    assert told(notebook, receiver, "ann") == ["Still taken.", "In time."]
    eventually(lambda: counted(notebook) == {"replies|posted": 2, "replies|given_up": 1}, "they are counted")


@pytest.mark.usefixtures("replier")
def test_a_receiver_that_hangs_or_is_not_there_makes_no_other_wait(notebook: Notebook, receiver: Receiver) -> None:
    receiver.hanging = {"h1", "h2"}
    for path in ("h1", "h2"):
        ask(notebook, receiver, path, Write(page=path, text="x"))
    notebook.enqueue(Write(page="n", text="x"), reply_to="http://127.0.0.1:1/")
    notebook.drain_all()
    eventually(lambda: len(receiver.asked) == 2, "two hang")
    for number in range(20):
        ask(notebook, receiver, "ann", Write(page="p", text=str(number)))
    notebook.drain_all()
    eventually(lambda: len(receiver.taken["ann"]) == 20, "all others are told")
    assert receiver.taken["ann"] == [f"U0WRITER wrote {n} on p." for n in range(20)]
    assert {path for path, _ in receiver.asked[:2]} == {"h1", "h2"}
    assert {path for path, _ in receiver.asked[2:22]} == {"ann"}
    receiver.hanging = set()
    eventually(lambda: bool(receiver.taken["h1"] and receiver.taken["h2"]), "those that hung are told")


@pytest.mark.usefixtures("replier")
def test_bytes_that_are_no_reply_are_given_up_and_the_lane_goes_on(notebook: Notebook, receiver: Receiver) -> None:
    keys, order = reply_keys(notebook.settings), reply_order("r", "j", receiver.url("ann"), "x", datetime.now(UTC))
    for raw in (b"\xff\x00", b'{"seq":1}', b'{"seq":1,"id":"x","job":"x","url":"file:///etc/passwd","text":"","at":1}'):
        notebook.redis.rpush(keys.lane(order.lane), raw)
    enqueue(notebook.redis, keys, notebook.settings, [order])
    assert told(notebook, receiver, "ann") == ["x"]
    eventually(lambda: counted(notebook) == {"replies|posted": 1, "replies|given_up": 3}, "they are counted")


@pytest.mark.usefixtures("replier")
def test_the_url_is_a_secret_in_no_key_and_in_nothing_that_is_said(
    notebook: Notebook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers["secret"] = [(500, receiver.url("secret"), {}), (404, receiver.url("secret"), {})]
    with caplog.at_level(logging.DEBUG):
        ask(notebook, receiver, "secret", Write(page="p", text="a"), Write(page="p", text="b"))
        notebook.enqueue(Write(page="q", text="c"), reply_to="https://nowhere.invalid/secret?x=\x7e")
        notebook.drain_all()
        eventually(lambda: len(receiver.asked) == 3, "all were asked")
        eventually(lambda: counted(notebook).get("replies|given_up") == 1, "one is given up")
    assert "was given up" in caplog.text
    assert "secret" not in caplog.text
    assert not [key for key in notebook.redis.keys("*") if b"secret" in key]
    assert "secret" not in str(notebook.rows("SELECT * FROM onelane.ledger"))


GOOD = [
    "https://hooks.slack.com/actions/T0/1/abc?x=1",
    "https://[2001:db8::1]:8443/x",
    "http://127.0.0.1:8080/x",
    "http://127.1.2.3/",
    "http://[::1]/x",
    "http://localhost:1/x",
    "https://example.com/" + "x" * 480,
]
BAD = [
    "",
    "x",
    "hooks.slack.com/actions",
    "http://hooks.slack.com/actions",
    "http://localhost.example.com/",
    "http://2130706433/",
    "http://10.0.0.1/",
    "file:///etc/passwd",
    "ftp://localhost/",
    "https://",
    "https:///x",
    "https://user:word@example.com/",
    "https://example.com:port/",
    "https://[::1/",
    "https://example.com/a b",
    "https://example.com/\n",
    "https://example.com/ä",
    "https://example.com/" + "x" * 481,
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_of_the_internet_or_of_this_machine_is_taken(notebook: Notebook, url: str) -> None:
    (handle,) = notebook.enqueue(Write(page="p", text="a"), reply_to=url)
    assert handle.state == "queued"
    assert url not in repr(handle)


@pytest.mark.parametrize("url", BAD)
def test_any_other_url_is_refused_and_not_repeated(notebook: Notebook, url: str) -> None:
    with pytest.raises(InvalidJob) as refused:
        notebook.enqueue(Write(page="p", text="a"), reply_to=url)
    assert str(refused.value) == (
        "reply_to: expected an https:// URL of at most 500 characters (http:// on this machine only)"
    )
    assert notebook.drain_all() == {}


def test_a_replier_that_lingers_ends_when_it_is_asked_to(replier: Replier, notebook: Notebook) -> None:
    lingering = reply_keys(notebook.settings).named("lingering")
    eventually(lambda: bool(notebook.redis.zcard(lingering)), "the replier lingers")
    replier.stop()
    assert not replier._background._thread.is_alive()
    assert notebook.redis.zcard(lingering) == 0

"""Jobs as part of somebody's own transaction, and follow-ups: delivered after the commit, or never, and once."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.integration.kinds import Tell, Write
from tests.integration.notebook import ACTOR, Notebook
from worker import InvalidJob, Job, NoOutcome
from worker.database import connect
from worker.job import KINDS
from worker.relay import Relay


def leave(notebook: Notebook, key: str, kind: str, payload: object, topic: str = "job", actor: str = ACTOR) -> None:
    """Leave a row in the outbox, as a kind's statement does."""
    notebook.connection.execute(
        "INSERT INTO onelane.outbox (topic, key, kind, payload, actor) VALUES (%s, %s, %s, %s, %s)",
        [topic, key, kind, Jsonb(payload), actor],
    )


def waiting(notebook: Notebook) -> list[str]:
    """The keys of the rows in the outbox."""
    return [row["key"] for row in notebook.rows("SELECT key FROM onelane.outbox ORDER BY id")]


def test_a_job_in_a_transaction_comes_with_its_commit(notebook: Notebook) -> None:
    with psycopg.connect(notebook.settings.database_url) as connection:
        handle = notebook.client.enqueue(Write(page="p", text="mine"), actor=ACTOR, connection=connection)
        assert handle.state == "in_transaction"
        notebook.drain_all()
        assert notebook.lines("p") == []
    notebook.drain_all()
    assert notebook.lines("p") == ["mine"]
    assert handle.wait(1).status == "applied"


def test_a_job_in_a_transaction_that_is_undone_never_comes(notebook: Notebook) -> None:
    connection = psycopg.connect(notebook.settings.database_url)
    handle = notebook.client.enqueue(Write(page="p", text="mine"), actor=ACTOR, connection=connection)
    connection.rollback()
    connection.close()
    assert notebook.drain_all() == {}
    with pytest.raises(NoOutcome):
        handle.wait(0)


def test_the_same_id_in_a_transaction_and_without_one_is_one_job(notebook: Notebook) -> None:
    job = Write(page="p", text="once")
    for _ in range(2):
        with psycopg.connect(notebook.settings.database_url) as connection:
            notebook.client.enqueue(job, actor=ACTOR, id="Ev01", connection=connection)
        notebook.client.enqueue(job, actor=ACTOR, id="Ev01")
        notebook.drain_all()
    assert notebook.lines("p") == ["once"]


def test_the_jobs_of_a_transaction_keep_their_order_and_go_as_many_as_they_are(notebook: Notebook) -> None:
    with psycopg.connect(notebook.settings.database_url) as connection:
        for number in range(1203):
            notebook.client.enqueue(Write(page="p", text=str(number)), actor=ACTOR, connection=connection)
    assert notebook.drain_all() == {"applied": 1203}
    assert notebook.lines("p") == [str(n) for n in range(1203)]


def test_what_does_not_fit_into_a_full_lane_waits_and_is_not_passed(notebook: Notebook) -> None:
    narrow = notebook.settings.model_copy(update={"lane_limit": 100, "lock_timeout_ms": 10_000})
    with psycopg.connect(notebook.settings.database_url) as connection:
        for number in range(620):
            notebook.client.enqueue(Write(page="p", text=str(number)), actor=ACTOR, connection=connection)
        notebook.client.enqueue(Write(page="q", text="beside"), actor=ACTOR, connection=connection)
    relay = Relay(notebook.redis, notebook.keys, narrow)
    worker = notebook.worker(lane_limit=100, lock_timeout_ms=10_000)
    with connect(narrow) as connection, ThreadPoolExecutor(1) as pool:
        draining = pool.submit(lambda: [worker.drain() for _ in range(30)])
        while not draining.done():
            relay.deliver(connection)
    notebook.drain_all(worker)
    assert notebook.lines("p") == [str(n) for n in range(620)]
    assert notebook.lines("q") == ["beside"]


def test_two_relays_at_once_deliver_each_follow_up_and_effect_once(notebook: Notebook) -> None:
    notebook.enqueue(*(Tell(page=f"p{n % 7}", text=str(n), other=f"q{n % 5}") for n in range(200)))
    workers = [notebook.worker(f"w{n}", claim_jobs=20, lock_timeout_ms=10_000) for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda worker: worker.drain(), workers))
    notebook.drain_all(workers[0])
    for page in range(5):
        assert sorted(map(int, notebook.lines(f"q{page}"))) == list(range(page, 200, 5))
    effects = notebook.redis.xrange(notebook.settings.effects_stream)
    assert sorted(int(fields[b"payload"].split(b'"')[3]) for _, fields in effects) == list(range(200))
    assert waiting(notebook) == []


def test_a_follow_up_of_a_kind_that_nobody_knows_waits_and_lets_others_pass(notebook: Notebook) -> None:
    class Later(Write, kind="notebook.later"):
        pass

    leave(notebook, "k1", "notebook.later", {"page": "p", "text": "later"})
    leave(notebook, "k2", "notebook.write", {"page": "p", "text": "now"})
    del KINDS["notebook.later"]
    notebook.drain_all()
    assert waiting(notebook) == ["k1"]
    KINDS["notebook.later"] = Later
    try:
        notebook.drain_all()
    finally:
        del KINDS["notebook.later"]
    assert notebook.lines("p") == ["now", "later"]


class Crooked(Job, kind="notebook.crooked"):
    """A kind whose payload decides what is wrong with its lane."""

    name: str
    sql = "SELECT"

    def lane(self) -> str:
        if self.name == "broken":
            raise ZeroDivisionError
        return self.name


IMPOSSIBLE = {
    "an invalid payload": ("notebook.write", {"page": "p"}, ACTOR),
    "no payload": ("notebook.write", None, ACTOR),
    "too large a payload": ("notebook.write", {"page": "p", "text": "x" * 100_000}, ACTOR),
    "a lane that is none": ("notebook.crooked", {"name": "a lane with blanks"}, ACTOR),
    "a lane that is nameless": ("notebook.crooked", {"name": ""}, ACTOR),
    "a lane that can't be made": ("notebook.crooked", {"name": "broken"}, ACTOR),
    "an actor that is none": ("notebook.write", {"page": "p", "text": "x"}, "two words"),
}


@pytest.mark.parametrize(("kind", "payload", "actor"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_a_follow_up_that_can_not_be_queued_is_a_dead_letter_and_stops_nobody(
    notebook: Notebook, kind: str, payload: object, actor: str
) -> None:
    leave(notebook, "bad", kind, payload, actor=actor)
    leave(notebook, "good", "notebook.write", {"page": "p", "text": "good"})
    notebook.enqueue(Write(page="q", text="beside"))
    notebook.drain_all()
    assert notebook.lines("p") == ["good"]
    assert notebook.lines("q") == ["beside"]
    assert waiting(notebook) == []
    dead = notebook.ended("bad")
    assert (dead["status"], dead["code"], dead["kind"]) == ("dead", "invalid", kind)


@pytest.mark.parametrize("key", ["x" * 5000, "a key with blanks", "Ev01"], ids=["endless", "blanks", "in use"])
def test_a_follow_up_that_can_not_be_queued_is_buried_under_any_key(notebook: Notebook, key: str) -> None:
    notebook.enqueue(Write(page="p", text="first"), id="Ev01")
    notebook.drain_all()
    leave(notebook, key, "notebook.write", {"page": "p"})
    notebook.enqueue(Write(page="q", text="beside"))
    notebook.drain_all()
    assert notebook.lines("q") == ["beside"]
    assert waiting(notebook) == []
    assert notebook.ended("Ev01")["status"] == "applied"
    (dead,) = notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead'")
    assert (dead["job_id"].partition(":")[0], dead["code"]) == ("outbox", "invalid")


def test_enqueueing_in_a_transaction_refuses_what_enqueueing_refuses(notebook: Notebook) -> None:
    with psycopg.connect(notebook.settings.database_url) as connection:
        with pytest.raises(InvalidJob, match="actor"):
            notebook.client.enqueue(Write(page="p", text="x"), actor="", connection=connection)
        connection.execute("SELECT 1")
    assert waiting(notebook) == []

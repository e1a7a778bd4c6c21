"""Promise 2: a job takes effect once, however often it is delivered, claimed, enqueued or sent again."""

import psycopg
import pytest
from redis import Redis

from tests.integration.kinds import Seal, Tell, Write
from tests.integration.notebook import ACTOR, Notebook
from worker import IdReused
from worker.acknowledge import Settled, acknowledge
from worker.batch import apply
from worker.claim import Claim
from worker.database import connect
from worker.entry import Entry
from worker.relay import Relay


def entries_of(claim: Claim) -> dict[str, list[Entry]]:
    """A claim's jobs as a drain reads them."""
    return {lane.name: [Entry.read(lane.name, raw, 1, 0) for raw in lane.jobs] for lane in claim.lanes}


def test_a_batch_that_was_committed_but_not_acknowledged_is_only_acknowledged_later(notebook: Notebook) -> None:
    handles = notebook.enqueue(*(Write(page="p", text=str(n)) for n in range(5)))
    claim = notebook.worker("dying").claimer().claim()
    assert isinstance(claim, Claim)
    with connect(notebook.settings) as connection:
        apply(connection, claim.token, "dying", entries_of(claim))
    notebook.end_leases()
    assert notebook.drain_all() == {}
    assert notebook.lines("p") == ["0", "1", "2", "3", "4"]
    assert [handle.wait(1).status for handle in handles] == ["applied"] * 5
    assert handles[3].wait(1).after == {"page": "p", "lines": 4, "last": "3"}
    assert notebook.left_in_redis() == set()


def test_the_same_id_twice_is_one_job_before_and_after_its_end(notebook: Notebook) -> None:
    job = Write(page="p", text="once")
    assert notebook.client.enqueue(job, actor=ACTOR, id="Ev01").state == "queued"
    assert notebook.client.enqueue(job, actor="U0OTHER", id="Ev01").state == "duplicate"
    notebook.drain_all()
    again = notebook.client.enqueue(job, actor=ACTOR, id="Ev01")
    assert again.state == "duplicate"
    assert again.wait(1).code == "written"
    notebook.redis.delete(notebook.keys.outcome("Ev01"))  # as if its time were over
    assert notebook.client.enqueue(job, actor=ACTOR, id="Ev01").state == "queued"
    assert notebook.drain_all() == {}
    assert notebook.lines("p") == ["once"]
    assert again.wait(1).code == "written"


def test_an_id_with_another_payload_is_refused_while_it_is_known_and_a_dead_letter_later(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="mine"), id="Ev01")
    with pytest.raises(IdReused, match="Ev01"):
        notebook.enqueue(Write(page="p", text="other"), id="Ev01")
    notebook.drain_all()
    with pytest.raises(IdReused, match="Ev01"):
        notebook.enqueue(Write(page="q", text="mine"), id="Ev01")
    notebook.redis.delete(notebook.keys.outcome("Ev01"))
    (handle,) = notebook.enqueue(Write(page="p", text="other"), id="Ev01")
    notebook.drain_all()
    assert notebook.lines("p") == ["mine"]
    assert notebook.ends() == [("applied", "written"), ("dead", "id_reused")]
    assert handle.wait(1).code == "id_reused"
    assert notebook.redis.hlen(notebook.keys.named("pending")) == 0
    assert notebook.left_in_redis() == set()


def test_a_reused_id_that_was_recorded_but_not_acknowledged_is_recorded_once(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="mine"), id="Ev01")
    notebook.drain_all()
    notebook.redis.delete(notebook.keys.outcome("Ev01"))
    (handle,) = notebook.enqueue(Write(page="p", text="other"), id="Ev01")
    claim = notebook.worker("dying").claimer().claim()
    assert isinstance(claim, Claim)
    with connect(notebook.settings) as connection:
        apply(connection, claim.token, "dying", entries_of(claim))
    recorded = notebook.rows("SELECT * FROM onelane.ledger ORDER BY job_id")
    notebook.end_leases()
    assert notebook.drain_all() == {}
    assert notebook.rows("SELECT * FROM onelane.ledger ORDER BY job_id") == recorded
    assert [row["code"] for row in recorded] == ["written", "id_reused"]
    assert handle.wait(1).code == "id_reused"
    assert notebook.left_in_redis() == set()


def test_a_job_that_was_put_into_its_lane_twice_by_hand_is_applied_once(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="p", text="once"))
    (raw,) = notebook.redis.lrange(notebook.keys.lane("page:p"), 0, -1)
    notebook.put("page:p", raw)
    notebook.put("page:p", raw)
    notebook.enqueue(Write(page="p", text="next"))
    notebook.drain_all()
    assert notebook.lines("p") == ["once", "next"]


def test_a_redelivered_follow_up_and_effect_come_once(notebook: Notebook) -> None:
    notebook.enqueue(Tell(page="p", text="news", other="q"))
    claim = notebook.worker().claimer().claim()
    assert isinstance(claim, Claim)
    with connect(notebook.settings) as connection:
        apply(connection, claim.token, "w", entries_of(claim))
        rows = notebook.rows("SELECT * FROM onelane.outbox")
        relay = Relay(notebook.redis, notebook.keys, notebook.settings)
        assert relay.deliver(connection) == 2
        copied = "INSERT INTO onelane.outbox (topic, key, kind, payload, actor, cause) VALUES (%s, %s, %s, %s, %s, %s)"
        for row in rows:  # as if the relay had been killed before its commit
            values = [row[name] for name in ("topic", "key", "kind")]
            connection.execute(copied, [*values, psycopg.types.json.Jsonb(row["payload"]), row["actor"], row["cause"]])
        assert relay.deliver(connection) == 2
    notebook.end_leases()
    notebook.drain_all()
    assert notebook.lines("p") == ["news"]
    assert notebook.lines("q") == ["news"]
    assert len(effects(notebook.redis, notebook)) == 1
    assert notebook.left_in_redis() == set()


def effects(redis: Redis, notebook: Notebook) -> list[bytes]:
    """The causes of the effects in the bot's stream, in order."""
    found = [fields for _, fields in redis.xrange(notebook.settings.effects_stream)]
    return [fields[b"cause"] for fields in found if fields[b"kind"] == b"told"]


def test_follow_ups_and_effects_of_a_batch_that_failed_at_first_come_once(notebook: Notebook) -> None:
    notebook.make_faulty("bad", "40001", times=2)
    jobs = [Tell(page=f"p{n}", text=f"t{n}", other="q") for n in range(4)]
    handles = notebook.enqueue(*jobs, Tell(page="p5", text="bad", other="q"))
    notebook.drain_all()
    assert sorted(notebook.lines("q")) == ["bad", "t0", "t1", "t2", "t3"]
    assert sorted(effects(notebook.redis, notebook)) == sorted(handle.id.encode() for handle in handles)
    assert notebook.rows("SELECT * FROM onelane.outbox") == []


def test_an_acknowledgement_that_is_sent_twice_takes_nothing_else_off(notebook: Notebook) -> None:
    notebook.enqueue(*(Write(page="p", text=str(n)) for n in range(4)))
    worker = notebook.worker(claim_jobs=2)
    claim = worker.claimer().claim()
    assert isinstance(claim, Claim)
    with connect(notebook.settings) as connection:
        batch = apply(connection, claim.token, "w", entries_of(claim))
    settled = [Settled(lane, pairs) for lane, pairs in batch.ends.items()]
    for _ in range(3):
        acknowledge(notebook.redis, notebook.keys, notebook.settings, claim.token, settled)
    assert notebook.redis.llen(notebook.keys.lane("page:p")) == 2
    notebook.drain_all()
    assert notebook.lines("p") == ["0", "1", "2", "3"]


def test_an_error_that_only_the_commit_finds_is_an_error_of_its_job(notebook: Notebook) -> None:
    notebook.enqueue(Write(page="a", text="one"), Seal(page="c", other="missing"), Write(page="b", text="two"))
    worker = notebook.worker(order_attempts=2)
    assert notebook.drain_all(worker) == {"applied": 2, "dead": 1, "retried": 1}
    (dead,) = notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead'")
    assert (dead["kind"], dead["sqlstate"]) == ("notebook.seal", "23503")
    assert notebook.lines("a") == ["one"]
    assert notebook.lines("b") == ["two"]

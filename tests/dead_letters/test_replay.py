"""Replay: order, once, refusals, and jobs that overtake."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from pydantic_core import to_json

from tests.dead_letters.conftest import Sender, acts, bury, died
from tests.integration.kinds import Engrave, Write
from tests.integration.notebook import Notebook
from worker.acknowledge import Settled, acknowledge
from worker.batch import MANY, apply
from worker.claim import Claim
from worker.dead_letters import Filter, replay
from worker.entry import Entry
from worker.errors import NoOutcome, Refused
from worker.intervention import Interventions
from worker.query import query
from worker.relay import Relay


def deliver(notebook: Notebook) -> int:
    return Relay(notebook.redis, notebook.keys, notebook.settings).deliver(notebook.connection)


def test_a_dead_letter_is_applied_under_its_own_id_and_number(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    before = notebook.ended(job_id)
    assert send_back(job_id).replayed == [job_id]
    assert notebook.ended(job_id)["status"] == "replaying"

    notebook.drain_all()

    after = notebook.ended(job_id)
    assert (after["status"], after["seq"], after["replays"]) == ("applied", before["seq"], 1)
    assert notebook.lines("p") == ["a"]
    assert notebook.client.wait(job_id, 1).status == "applied"
    assert notebook.left_in_redis() <= {"alerts"}
    assert acts(notebook) == [("ada", "replay", job_id, "mended")]


def test_its_old_outcome_is_forgotten_as_soon_as_it_is_back_in_its_lane(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    assert notebook.client.wait(job_id, 1).status == "dead"
    send_back(job_id)
    deliver(notebook)
    with pytest.raises(NoOutcome):
        notebook.client.wait(job_id, 0.05)


def test_dead_letters_of_one_lane_come_back_in_the_order_of_their_enqueue(
    notebook: Notebook, send_back: Sender
) -> None:
    ids = died(notebook, *"abcde")
    assert send_back(*reversed(ids)).replayed == ids
    notebook.drain_all()
    assert notebook.lines("p") == list("abcde")


def test_what_a_replay_had_died_of_is_kept_when_it_is_applied(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    notebook.drain_all()
    (details,) = notebook.connection.execute("SELECT details FROM onelane.acts").fetchone() or (None,)
    assert details == {
        "code": "permanent",
        "error_class": "DataException",
        "sqlstate": "22000",
        "error": notebook_error("a"),
    }


def notebook_error(text: str) -> str:
    return f"the text is faulty: {text}\nCONTEXT:  PL/pgSQL function fail_if_faulty(text) line 6 at RAISE"


def test_a_replay_that_fails_again_is_the_same_dead_letter(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    first = notebook.ended(job_id)
    notebook.connection.execute("UPDATE faults SET times = 1000000")
    send_back(job_id)
    notebook.drain_all()
    again = notebook.ended(job_id)
    assert (again["status"], again["body"], again["replays"]) == ("dead", first["body"], 1)
    assert again["finished_at"] > first["finished_at"]


def test_a_job_whose_lane_has_gone_on_is_refused_and_nothing_happens(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "old")
    (newer,) = notebook.enqueue(Write(page="p", text="new"))
    notebook.drain_all()

    result = send_back(job_id)

    assert result.replayed == []
    assert list(result.refused) == [job_id]
    assert result.refused[job_id].startswith(
        f"Its lane has gone on: notebook.write {newer.id} of U0WRITER, applied at 20"
    )
    assert notebook.ended(job_id)["status"] == "dead"
    assert acts(notebook) == []
    notebook.drain_all()
    assert notebook.lines("p") == ["new"]


def test_force_replays_over_newer_data(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "old")
    notebook.enqueue(Write(page="p", text="new"))
    notebook.drain_all()
    assert send_back(job_id, force=True).replayed == [job_id]
    notebook.drain_all()
    assert notebook.lines("p") == ["new", "old"]
    assert notebook.ended(job_id)["status"] == "applied"


def test_a_lane_whose_newer_jobs_had_no_effect_has_not_gone_on(notebook: Notebook, send_back: Sender) -> None:
    first, second = died(notebook, "a", "b")
    assert send_back(first).replayed == [first]
    notebook.drain_all()
    assert send_back(second).replayed == [second]
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "b"]


def test_a_replay_that_is_overtaken_between_check_and_delivery_is_dead_again(
    notebook: Notebook, send_back: Sender
) -> None:
    (job_id,) = died(notebook, "old")
    worker = notebook.worker()
    notebook.enqueue(Write(page="p", text="new"))
    assert send_back(job_id).replayed == [job_id]
    apply_before_any_delivery(notebook, worker.claimer())

    notebook.drain_all(worker)

    assert notebook.lines("p") == ["new"]
    end = notebook.ended(job_id)
    assert (end["status"], end["code"]) == ("dead", "overtaken")
    assert notebook.client.wait(job_id, 1).code == "overtaken"
    assert send_back(job_id).refused.keys() == {job_id}
    send_back(job_id, force=True)
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["new", "old"]


def apply_before_any_delivery(notebook: Notebook, claimer: Any) -> None:
    """A worker that claims and applies what waits, and does not look into the outbox."""
    claim = claimer.claim()
    assert isinstance(claim, Claim)
    lanes = {lane.name: [Entry.read(lane.name, raw, 1, 1) for raw in lane.jobs] for lane in claim.lanes}
    with psycopg.connect(notebook.settings.require_database(), autocommit=True) as connection:
        batch = apply(connection, claim.token, "w0", lanes)
    settled = [Settled(lane, pairs) for lane, pairs in batch.ends.items()]
    acknowledge(notebook.redis, notebook.keys, notebook.settings, claim.token, settled)


def test_a_dead_letter_goes_to_the_head_of_its_held_lane(notebook: Notebook, send_back: Sender) -> None:
    notebook.make_faulty("a", "22000")
    first, *_ = notebook.enqueue(Engrave(page="p", text="a"), Engrave(page="p", text="b"), Write(page="p", text="c"))
    notebook.drain_all()
    assert notebook.lines("p") == []
    notebook.mend("a")

    assert send_back(first.id).replayed == [first.id]
    deliver(notebook)
    notebook.drain_all()
    assert notebook.lines("p") == []

    notebook.script("resume", "page:p", lane="page:p")
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "b", "c"]


def test_a_claimed_lane_gets_its_dead_letters_when_it_is_free_again(notebook: Notebook, send_back: Sender) -> None:
    ids = died(notebook, "a", "b")
    worker = notebook.worker()
    notebook.enqueue(Write(page="p", text="c"))
    claimer = worker.claimer()
    claim = claimer.claim()
    send_back(*ids)

    assert deliver(notebook) == 0
    assert [notebook.ended(job_id)["status"] for job_id in ids] == ["replaying", "replaying"]

    notebook.script("park", "page:p", claim.token, 0, "", 0, lane="page:p")
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["a", "b", "c"]


def test_jobs_that_were_never_dead_or_never_were_are_named(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    (fine,) = notebook.enqueue(Write(page="q", text="x"))
    notebook.drain_all()
    result = send_back(job_id, fine.id, "nothing")
    assert result.replayed == [job_id]
    assert result.refused["nothing"] == "No job of this id has ended here: is the id right, and this its database?"
    assert result.refused[fine.id].startswith("It never was a dead letter: applied (written) at 20")
    assert list(result.refused) == [fine.id, "nothing"]


def test_a_limit_counts_in_the_order_of_the_replay(notebook: Notebook, send_back: Sender) -> None:
    ids = died(notebook, *"abc")
    result = send_back(*reversed(ids), limit=2)
    assert (result.replayed, result.refused) == (ids[:2], {})


def test_replaying_twice_applies_once(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    send_back(job_id)
    assert deliver(notebook) == 2
    send_back(job_id)
    deliver(notebook)
    notebook.drain_all()
    assert notebook.lines("p") == ["a"]


def test_an_id_that_comes_again_with_another_payload_does_not_end_the_replay_of_the_first(
    notebook: Notebook, send_back: Sender
) -> None:
    (job_id,) = died(notebook, "a")
    notebook.redis.delete(notebook.keys.outcome(job_id))
    notebook.enqueue(Write(page="q", text="b"), id=job_id)
    send_back(job_id)
    notebook.drain_all()
    assert notebook.lines("p") == ["a"]
    assert notebook.lines("q") == []
    assert sorted(notebook.ends()) == [("applied", "written"), ("dead", "id_reused")]
    assert notebook.left_in_redis() <= {"alerts"}


def test_nobody_replays_without_a_name(notebook: Notebook) -> None:
    with pytest.raises(Refused, match="actor: expected 1 to 50 characters without blanks"):
        replay(notebook.connection, Filter(), actor="")


def test_a_replay_in_a_transaction_of_the_callers_own_is_undone_with_it(notebook: Notebook) -> None:
    (job_id,) = died(notebook, "a")
    with psycopg.connect(notebook.settings.require_database()) as connection:
        assert replay(connection, Filter(ids=(job_id,)), actor="ada").replayed == [job_id]
        connection.rollback()
    assert notebook.ended(job_id)["status"] == "dead"
    assert deliver(notebook) == 0


def test_a_dead_letter_that_was_enqueued_again_takes_effect_under_its_new_number(
    notebook: Notebook, send_back: Sender
) -> None:
    again, older = died(notebook, "a", "b")
    notebook.redis.delete(notebook.keys.outcome(again))
    notebook.enqueue(Write(page="p", text="a"), id=again)
    send_back(again)
    notebook.drain_all()
    assert notebook.lines("p") == ["a"]
    assert notebook.ended(again)["seq"] > notebook.ended(older)["seq"]
    assert send_back(older).refused[older].startswith(f"Its lane has gone on: notebook.write {again}")


def test_a_replayed_job_that_is_cancelled_is_cancelled_though_it_was_overtaken(
    notebook: Notebook, send_back: Sender
) -> None:
    (job_id,) = died(notebook, "old")
    worker = notebook.worker()
    notebook.enqueue(Write(page="p", text="new"))
    send_back(job_id)
    apply_before_any_delivery(notebook, worker.claimer())
    deliver(notebook)
    assert Interventions(notebook.redis, notebook.settings, "ada").cancel(job_id, "too late")
    notebook.drain_all(worker)
    assert notebook.ended(job_id)["status"] == "cancelled"
    assert notebook.lines("p") == ["new"]


def test_many_dead_letters_that_come_back_are_applied_at_once_like_new_jobs(
    notebook: Notebook, send_back: Sender
) -> None:
    texts = [str(number) for number in range(MANY)]
    bury(notebook, [Write(page="p", text=text) for text in texts])
    notebook.enqueue(Write(page="p", text="new"))
    send_back()
    notebook.drain_all()
    assert notebook.lines("p") == [*texts, "new"]
    assert lines_begun(notebook) == MANY + 1  # none of them in a transaction that was rolled back


def lines_begun(notebook: Notebook) -> int:
    """How many lines were ever written, in transactions that were rolled back too."""
    (row,) = notebook.rows("SELECT pg_sequence_last_value(pg_get_serial_sequence('lines', 'n')::regclass) AS number")
    return row["number"]


@pytest.mark.parametrize("count", [4, MANY])
def test_one_that_dies_again_keeps_no_other_from_coming_back(notebook: Notebook, send_back: Sender, count: int) -> None:
    texts = [str(number) for number in range(count)]
    ids = bury(notebook, [Write(page="p", text=text) for text in texts])
    notebook.make_faulty("2", "22003")
    (new,) = notebook.enqueue(Write(page="p", text="new"))
    send_back()
    notebook.drain_all()
    assert notebook.lines("p") == [text for text in [*texts, "new"] if text != "2"]
    assert [job_id for job_id in (*ids, new.id) if notebook.ended(job_id)["status"] != "applied"] == [ids[2]]
    assert notebook.ended(ids[2])["status"] == "dead"


def test_a_replayed_job_that_was_put_into_its_lane_twice_by_hand_is_applied_once(
    notebook: Notebook, send_back: Sender
) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    deliver(notebook)
    (raw,) = notebook.redis.lrange(notebook.keys.lane("page:p"), 0, -1)
    notebook.put("page:p", raw)
    notebook.enqueue(Write(page="p", text="next"))
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "next"]
    assert notebook.ended(job_id)["status"] == "applied"


def test_recording_the_ends_of_replays_reads_no_more_rows_than_it_writes(notebook: Notebook) -> None:
    """However many are on their way, and though statistics say that none is: they are from before the replay."""
    database = notebook.connection
    database.execute(
        "INSERT INTO onelane.ledger (job_id, kind, lane, seq, actor, digest, status, code, message, worker, token,"
        " enqueued_at, body) SELECT 'j' || n, 'write', 'page:p', n, 'ada', '', 'dead', '', '', '', 1, now(), ''"
        " FROM generate_series(1, 3000) AS n"
    )
    database.execute("ANALYZE onelane.ledger")
    database.execute("UPDATE onelane.ledger SET status = 'replaying'")
    rows = [{"id": f"j{n}", "seq": n, "status": "applied", "code": "", "message": ""} for n in range(1, 11)]
    values = {"rows": to_json([{**row, "attempts": 1} for row in rows]).decode(), "worker": "w", "token": 2}

    (((plan,),),) = database.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query('record_replayed')}", values).fetchall()

    assert database.execute("SELECT count(*) FROM onelane.ledger WHERE status = 'applied'").fetchone() == (10,)
    assert max(read_from("ledger", plan["Plan"])) == 10


def read_from(table: str, node: dict[str, Any]) -> Iterator[float]:
    """How many rows each scan of a table in a plan has read, and thrown away."""
    if node.get("Relation Name") == table and "Scan" in node["Node Type"]:
        yield node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    for below in node.get("Plans", ()):
        yield from read_from(table, below)

"""Discarded letters stay in the ledger, with why, and can't be replayed any more."""

import pytest

from tests.dead_letters.conftest import OPERATOR, Sender, acts, bury, died
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook
from worker.dead_letters import Discarded, Filter, count, discard
from worker.errors import Refused


def give_up(notebook: Notebook, *ids: str, dry_run: bool = False) -> Discarded:
    return discard(notebook.connection, Filter(ids=ids), actor=OPERATOR, reason="nobody misses it", dry_run=dry_run)


def test_what_is_discarded_is_dead_no_more_and_keeps_its_bytes(notebook: Notebook, send_back: Sender) -> None:
    ids = died(notebook, "a", "b")
    before = notebook.ended(ids[0])
    assert give_up(notebook, ids[0]).discarded == [ids[0]]
    row = notebook.ended(ids[0])
    assert (row["status"], row["body"]) == ("discarded", before["body"])
    assert acts(notebook) == [(OPERATOR, "discard", ids[0], "nobody misses it")]
    (details,) = notebook.connection.execute("SELECT details FROM onelane.acts").fetchone() or ({},)
    assert details["sqlstate"] == "22000"
    assert details["died_at"][:19] == before["finished_at"].isoformat()[:19]
    assert count(notebook.connection, Filter()) == 1

    assert send_back(ids[0]).refused[ids[0]].startswith("It was discarded at 20")
    assert give_up(notebook, ids[0]).refused[ids[0]].startswith("It was discarded at 20")


def test_everything_is_discarded_across_chunks(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page=f"p{n % 7}", text=str(n)) for n in range(2500)])
    assert give_up(notebook).discarded == ids
    assert count(notebook.connection, Filter()) == 0


def test_a_dry_run_discards_nothing(notebook: Notebook) -> None:
    ids = died(notebook, "a")
    assert give_up(notebook, dry_run=True).discarded == ids
    assert notebook.ended(ids[0])["status"] == "dead"
    assert acts(notebook) == []


def test_what_is_on_its_way_back_is_not_discarded(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    result = give_up(notebook, job_id, "nothing")
    assert result.discarded == []
    assert result.refused[job_id].startswith("It is on its way back to its lane")
    assert result.refused["nothing"].startswith("No job of this id has ended here")
    notebook.drain_all()
    assert notebook.lines("p") == ["a"]


def test_a_reason_must_be_one(notebook: Notebook) -> None:
    with pytest.raises(Refused, match="reason: expected at most 2000 characters of valid text, got 2001"):
        discard(notebook.connection, Filter(), actor=OPERATOR, reason="x" * 2001)

"""A report on one dead letter: what is known, the row as it is now, and what a replay would meet."""

import pytest
from pydantic_core import to_json

from tests.dead_letters.conftest import Sender, bury, died
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook
from worker.dead_letters import report
from worker.dead_letters.report import NoDeadLetter


def test_a_report_says_what_who_when_why(notebook: Notebook) -> None:
    notebook.make_faulty("a", "22000")
    (handle,) = notebook.enqueue(Write(page="p", text="a"), reason="for tea")
    notebook.drain_all()
    found = report(notebook.connection, handle.id)
    letter, row = found.letter, notebook.ended(handle.id)
    assert (letter.kind, letter.lane, letter.seq, letter.actor, letter.reason) == (
        *("notebook.write", "page:p", row["seq"]),
        *("U0WRITER", "for tea"),
    )
    assert (letter.code, letter.error_class, letter.sqlstate) == ("permanent", "DataException", "22000")
    assert (letter.error or "").startswith("the text is faulty: a")
    assert "psycopg.errors.DataException" in (letter.traceback or "")
    assert (letter.attempts, letter.worker, letter.replays) == (1, "w1", 0)
    assert letter.finished_at == row["finished_at"]
    assert letter.job == row["body"]
    assert letter.envelope is not None
    assert letter.envelope.payload == {"page": "p", "text": "a"}
    assert (found.acts, found.older, found.row_now, found.fate()) == ([], 0, None, None)


def test_it_shows_the_row_as_the_newest_job_has_left_it(notebook: Notebook) -> None:
    died(notebook, "older")
    (job_id,) = died(notebook, "old")
    notebook.enqueue(*(Write(page="p", text=text) for text in ("new", "newest")))
    notebook.drain_all()
    found = report(notebook.connection, job_id)
    assert found.row_now == {"page": "p", "lines": 2, "last": "newest"}
    assert found.older == 1
    assert (found.fate() or "").startswith("Its lane has gone on: notebook.write ")


def test_what_was_done_to_it_stays_to_be_read_when_it_is_applied(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    notebook.drain_all()
    found = report(notebook.connection, job_id)
    (act,) = found.acts
    assert (act.actor, act.act, act.reason) == ("ada", "replay", "mended")
    assert (act.details or {})["sqlstate"] == "22000"
    assert (found.letter.status, found.letter.error) == ("applied", None)
    assert (found.fate() or "").startswith("It is no dead letter any more: applied (written) at 20")


@pytest.mark.parametrize(
    ("change", "fate"),
    [
        ({"kind": "no.such"}, "No worker that runs this release knows it"),
        ({"payload": {"page": "p"}}, "It would die again: notebook.write: text: Field required."),
        (
            {"payload": {"page": "q", "text": "a"}},
            "It would die again: its payload belongs on the lane 'page:q'.",
        ),
    ],
    ids=str,
)
def test_it_foresees_that_a_letter_would_die_again(notebook: Notebook, change: dict[str, object], fate: str) -> None:
    (job_id,) = died(notebook, "a")
    envelope = report(notebook.connection, job_id).letter.envelope
    assert envelope is not None
    fields = {name: getattr(envelope, name) for name in envelope.__dataclass_fields__}
    notebook.connection.execute("UPDATE onelane.ledger SET body = %s", [to_json({**fields, **change})])
    assert (report(notebook.connection, job_id).fate() or "").startswith(fate)


def test_a_job_that_never_was_a_dead_letter_has_no_report(notebook: Notebook) -> None:
    (handle,) = notebook.enqueue(Write(page="p", text="a"))
    notebook.drain_all()
    with pytest.raises(NoDeadLetter, match="It never was a dead letter: applied"):
        report(notebook.connection, handle.id)
    with pytest.raises(NoDeadLetter, match="No job of this id has ended here"):
        report(notebook.connection, "nothing")


def test_an_imported_letter_has_a_report(notebook: Notebook) -> None:
    (job_id,) = bury(notebook, [Write(page="p", text="a")])
    assert [act.act for act in report(notebook.connection, job_id).acts] == ["import"]

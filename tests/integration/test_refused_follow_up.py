"""A follow-up that its own kind refuses stops neither the relay nor the follow-ups behind it."""

from tests.integration.kinds import Write
from tests.integration.notebook import ACTOR, Notebook
from worker.query import query


def put(notebook: Notebook, job_id: str, payload: str) -> None:
    fields = {"id": job_id, "kind": Write.kind, "payload": payload, "actor": ACTOR, "reason": None}
    notebook.connection.execute(query("outbox_put"), fields)


def ledger(notebook: Notebook) -> dict[str, tuple[str, str]]:
    rows = notebook.connection.execute("SELECT job_id, status, code FROM onelane.ledger").fetchall()
    return {job_id: (status, code) for job_id, status, code in rows}


def test_a_refused_follow_up_is_a_dead_letter_and_the_next_goes_on(notebook: Notebook) -> None:
    put(notebook, "bad", '{"page": 7}')
    put(notebook, "good", '{"page": "p", "text": "first"}')
    notebook.worker().drain()
    assert ledger(notebook) == {"bad": ("dead", "invalid"), "good": ("applied", "written")}
    assert notebook.connection.execute("SELECT count(*) FROM onelane.outbox").fetchone() == (0,)


def test_a_refused_follow_up_under_the_id_of_another_job_is_dropped(notebook: Notebook) -> None:
    put(notebook, "taken", '{"page": "p", "text": "first"}')
    notebook.worker().drain()
    put(notebook, "taken", '{"page": 7}')
    put(notebook, "next", '{"page": "p", "text": "second"}')
    notebook.worker().drain()
    assert ledger(notebook) == {"taken": ("applied", "written"), "next": ("applied", "written")}

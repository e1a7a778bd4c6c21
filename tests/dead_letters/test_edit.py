"""An edit mends the payload of one dead letter; its original stays, and it stays the same job on the same lane."""

import pytest

from tests.dead_letters.conftest import Sender, acts, bury, died
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook
from worker import Job
from worker.dead_letters import Change, edit
from worker.envelope import decode
from worker.errors import InvalidJob, JobTooLarge, OnelaneError, Refused, UnknownKind, WrongLane


class Count(Job, kind="dead_letters.count"):
    """A kind with fields of other types than text."""

    page: str
    number: int
    names: list[str] = []
    note: str | None = None
    sql = "SELECT 0, 'applied', 'counted', NULL::jsonb, NULL::jsonb, NULL::jsonb WHERE %(jobs)s = %(context)s"

    def lane(self) -> str:
        """The page's lane."""
        return f"page:{self.page}"


def change(notebook: Notebook, job_id: str, *words: str) -> Job:
    return edit(notebook.connection, job_id, Change.read(words), notebook.settings, actor="ada", reason="a typo")


def test_an_edited_letter_is_replayed_with_its_new_payload(notebook: Notebook, send_back: Sender) -> None:
    notebook.make_faulty("tee", "22000")
    (handle,) = notebook.enqueue(Write(page="p", text="tee"), reason="thirsty")
    notebook.drain_all()
    before = notebook.ended(handle.id)

    change(notebook, handle.id, "text=tea")

    row = notebook.ended(handle.id)
    first, now = decode(before["body"]), decode(row["body"])
    assert row["original"] == before["body"]
    assert (now.seq, now.id, now.actor, now.reason, now.at) == (first.seq, first.id, "U0WRITER", "thirsty", first.at)
    assert (now.payload, now.digest) == ({"page": "p", "text": "tea"}, row["digest"])

    send_back(handle.id)
    notebook.drain_all()
    assert notebook.lines("p") == ["tea"]
    assert notebook.ended(handle.id)["status"] == "applied"
    assert acts(notebook) == [("ada", "edit", handle.id, "a typo"), ("ada", "replay", handle.id, "mended")]
    (details,) = notebook.connection.execute("SELECT details FROM onelane.acts ORDER BY id LIMIT 1").fetchone() or ({},)
    assert details == {"before": {"page": "p", "text": "tee"}, "after": {"page": "p", "text": "tea"}}


def test_however_often_it_is_edited_the_first_bytes_are_kept(notebook: Notebook) -> None:
    (job_id,) = died(notebook, "a")
    first = notebook.ended(job_id)["body"]
    change(notebook, job_id, "text=b")
    change(notebook, job_id, '{"page": "p", "text": "c"}')
    row = notebook.ended(job_id)
    assert (row["original"], decode(row["body"]).payload["text"]) == (first, "c")


@pytest.mark.parametrize(
    ("words", "error", "sentence"),
    [
        (["page=q"], WrongLane, "belongs on 'page:q', not on 'page:p'"),
        (["txt=a"], InvalidJob, "notebook.write: txt: Extra inputs are not permitted"),
        (["text=[1]", "text=2"], InvalidJob, "text: given twice"),
        (["nonsense"], InvalidJob, "'nonsense': expected field=value"),
        (['{"page": "p"'], InvalidJob, "expected valid JSON"),
        (['{"page": "p"}'], InvalidJob, "notebook.write: text: Field required"),
        (['{"kind": "no.such", "payload": {}}'], UnknownKind, "kind: 'no.such' is unknown"),
        (['{"kind": "notebook.write", "payload": 5}'], InvalidJob, "There is no payload to change"),
        ([f"text={'x' * 70_000}"], JobTooLarge, "payload: the job takes"),
        (["text=\udcff"], InvalidJob, "not valid Unicode"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
def test_what_would_be_no_job_of_this_lane_is_refused_and_changes_nothing(
    notebook: Notebook, words: list[str], error: type[OnelaneError], sentence: str
) -> None:
    (job_id,) = died(notebook, "a")
    before = notebook.ended(job_id)
    with pytest.raises(error, match=sentence):
        change(notebook, job_id, *words)
    assert notebook.ended(job_id) == before
    assert acts(notebook) == []


def test_values_are_json_where_the_kind_takes_that_and_text_else(notebook: Notebook) -> None:
    (job_id,) = bury(notebook, [Count(page="7", number=1)])
    made = change(notebook, job_id, "number=2", 'names=["a","b"]', "note=26")
    assert made == Count(page="7", number=2, names=["a", "b"], note="26")
    assert change(notebook, job_id, "note=null") == Count(page="7", number=2, names=["a", "b"], note=None)


def test_bytes_that_are_no_job_become_one(notebook: Notebook, send_back: Sender) -> None:
    notebook.put("page:p", b"what is this")
    notebook.drain_all()
    (row,) = notebook.rows("SELECT job_id FROM onelane.ledger")
    damaged = row["job_id"]
    assert send_back(damaged).refused == {
        damaged: "Its bytes are no job. Give it a kind and a payload (--edit), or discard it."
    }
    with pytest.raises(UnknownKind):
        change(notebook, damaged, "text=a")
    change(notebook, damaged, '{"kind": "notebook.write", "payload": {"page": "p", "text": "this is it"}}')

    assert send_back(damaged).replayed == [damaged]
    notebook.drain_all()

    assert notebook.lines("p") == ["this is it"]
    row = notebook.ended(damaged)
    assert (row["status"], row["kind"], row["actor"], row["original"]) == (
        "applied",
        "notebook.write",
        "ada",
        b"what is this",
    )


def test_bytes_of_unknown_age_are_refused_once_their_lane_has_applied_anything(
    notebook: Notebook, send_back: Sender
) -> None:
    notebook.enqueue(Write(page="p", text="a"))
    notebook.put("page:p", b"what is this")
    notebook.drain_all()
    (damaged,) = (row["job_id"] for row in notebook.rows("SELECT job_id FROM onelane.ledger WHERE status = 'dead'"))
    change(notebook, damaged, '{"kind": "notebook.write", "payload": {"page": "p", "text": "b"}}')
    assert send_back(damaged).refused[damaged].startswith("Its lane has gone on")
    send_back(damaged, force=True)
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "b"]


def test_a_job_under_another_jobs_id_becomes_a_job_of_its_own(notebook: Notebook, send_back: Sender) -> None:
    notebook.enqueue(Write(page="p", text="a"), id="Ev1")
    notebook.drain_all()
    notebook.redis.delete(notebook.keys.outcome("Ev1"))
    notebook.enqueue(Write(page="p", text="b"), id="Ev1")
    notebook.drain_all()
    (reused,) = (row["job_id"] for row in notebook.rows("SELECT job_id FROM onelane.ledger WHERE status = 'dead'"))
    assert send_back(reused).refused[reused].startswith("Its id belongs to another job")
    change(notebook, reused, "text=b")
    assert send_back(reused).replayed == [reused]
    notebook.drain_all()
    assert notebook.lines("p") == ["a", "b"]
    assert notebook.ended(reused)["status"] == "applied"


def test_only_a_waiting_dead_letter_is_edited(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    send_back(job_id)
    with pytest.raises(OnelaneError, match="It is on its way back"):
        change(notebook, job_id, "text=b")
    notebook.drain_all()
    with pytest.raises(OnelaneError, match="It is no dead letter any more: applied"):
        change(notebook, job_id, "text=b")
    with pytest.raises(OnelaneError, match="nothing: No job of this id has ended here"):
        change(notebook, "nothing", "text=b")
    with pytest.raises(Refused, match="actor"):
        edit(notebook.connection, job_id, Change(), notebook.settings, actor="a b")

"""Letters that are exported come back as the same letters, here or elsewhere; lines that are none are named."""

import json
from base64 import b64decode
from typing import Any

import psycopg
import pytest

from tests.databases import new_database
from tests.dead_letters.conftest import Sender, acts, bury, died, line_of
from tests.integration.kinds import Write, make_tables
from tests.integration.notebook import Notebook
from worker.dead_letters import Filter, edit, export_lines, import_lines, replay
from worker.dead_letters.edit import Change
from worker.envelope import decode
from worker.settings import Settings

EVERYTHING = (
    "SELECT job_id, kind, lane, seq, actor, reason, digest, status, code, message, attempts, worker, token,"
    " enqueued_at, finished_at, body, error_class, sqlstate, error, traceback, first_attempt_at, replays, original"
    " FROM onelane.ledger ORDER BY job_id"
)

ADDRESS = "https://example.org/actions/T0/1/secret"


def rows(connection: psycopg.Connection) -> list[Any]:
    return connection.execute(EVERYTHING).fetchall()


def exported(notebook: Notebook, **conditions: Any) -> list[bytes]:
    return [line.encode() for line in export_lines(notebook.connection, Filter(**conditions))]


def test_letters_are_the_same_in_another_database_and_are_replayed_there(
    notebook: Notebook, settings: Settings, postgres_server: str, migrated_template: str, prefix: str
) -> None:
    ids = died(notebook, "a", "b\u0001\u00e4\U0001f600")
    notebook.put("page:p", b"\xff\x00 no job")
    notebook.drain_all()
    edit(notebook.connection, ids[0], Change.read(["text=A"]), settings, actor="ada")
    lines = exported(notebook)
    assert len(lines) == 3
    with new_database(postgres_server, migrated_template) as url:
        make_tables(url)
        elsewhere = Notebook(settings.model_copy(update={"database_url": url, "prefix": f"{prefix}2"}))
        done = import_lines(elsewhere.connection, lines, actor="bob", reason="moved")
        assert (len(done.imported), done.known, done.refused) == (3, [], {})
        assert rows(elsewhere.connection) == rows(notebook.connection)
        assert {act[:2] for act in acts(elsewhere)} == {("bob", "import")}

        again = import_lines(elsewhere.connection, lines, actor="bob")
        assert (again.imported, len(again.known), again.refused) == ([], 3, {})

        replay(elsewhere.connection, Filter(ids=tuple(ids)), actor="bob")
        elsewhere.drain_all()
        assert elsewhere.lines("p") == ["A", "b\u0001\u00e4\U0001f600"]
        elsewhere.close()


def test_what_is_known_is_left_as_it_is(notebook: Notebook, send_back: Sender) -> None:
    (job_id,) = died(notebook, "a")
    lines = exported(notebook)
    send_back(job_id)
    notebook.drain_all()
    done = import_lines(notebook.connection, lines, actor="ada")
    assert (done.imported, done.known) == ([], [job_id])
    assert notebook.ended(job_id)["status"] == "applied"


def test_bad_lines_are_named_and_the_good_ones_go(notebook: Notebook) -> None:
    good = line_of(Write(page="p", text="a"), 1, notebook.settings)
    other = line_of(Write(page="p", text="b"), 2, notebook.settings)
    bad = {
        3: b"nonsense",
        4: b"{}",
        5: b"\xff",
        6: changed(other, seq=-1),
        7: changed(other, seq=2**53),
        8: changed(other, status="applied"),
        9: changed(other, body=None),
        10: changed(other, body="not base64!"),
        11: changed(other, enqueued_at="yesterday"),
        12: changed(other, error="a\0b"),
        13: changed(other, extra=1),
        14: changed(other, lane=""),
        15: changed(other, attempts=2**31),
        16: changed(other, attempts=True),
        17: changed(other, finished_at="2030-01-01T00:00:00"),
        18: b'{"id": "\\ud800"}',
        19: b"[]",
    }
    done = import_lines(notebook.connection, [good, b"", *bad.values(), b"  \n", other], actor="ada")
    assert done.imported == ["notebook.write:1", "notebook.write:2"]
    assert list(done.refused) == list(bad)
    sentences = {number: done.refused[number].partition(";")[0] for number in (4, 6, 8, 9, 10, 13, 14)}
    assert sentences == {
        4: "id: Field required",
        6: "seq: Input should be greater than or equal to 0",
        8: "status: expected 'dead', got 'applied'",
        9: "body: the job's bytes are missing",
        10: "body: Value error, expected base64",
        13: "extra: Unexpected keyword argument",
        14: "lane: String should have at least 1 character",
    }


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(line), **fields}).encode()


def test_an_export_goes_by_the_filter_in_the_order_of_a_replay(notebook: Notebook) -> None:
    ids = bury(notebook, [Write(page=f"p{n % 2}", text="x") for n in range(2500)])
    assert [json.loads(line)["id"] for line in exported(notebook)] == ids
    assert [json.loads(line)["id"] for line in exported(notebook, lane="page:p1", limit=2)] == [ids[1], ids[3]]


@pytest.mark.parametrize("repeat", [1, 1001])
def test_the_same_letter_twice_in_a_file_is_one(notebook: Notebook, repeat: int) -> None:
    line = line_of(Write(page="p", text="a"), 1, notebook.settings)
    done = import_lines(notebook.connection, [line] * (repeat + 1), actor="ada")
    assert done.imported == ["notebook.write:1"]


def test_the_address_for_the_answer_stays_where_it_was(notebook: Notebook, settings: Settings) -> None:
    notebook.make_faulty("a", "22000")
    (handle,) = notebook.enqueue(Write(page="p", text="a"), reply_to=ADDRESS)
    notebook.put("page:p", b'{"seq":7,"reply_to" : "%s","no": "job' % ADDRESS.encode())
    notebook.drain_all()
    edit(notebook.connection, handle.id, Change.read(["text=A"]), settings, actor="ada")
    letters = {letter["id"]: letter for letter in map(json.loads, exported(notebook))}
    kept = letters.pop(handle.id)
    (damaged,) = letters.values()
    assert decode(b64decode(kept["body"])).payload == {"page": "p", "text": "A"}
    assert decode(b64decode(kept["original"])).payload == {"page": "p", "text": "a"}
    assert b64decode(damaged["body"]) == b'{"seq":7,"reply_to":"\xe2\x80\xa6","no": "job'
    shown = b"".join(b64decode(each[name] or "") for each in (kept, damaged) for name in ("body", "original"))
    assert b"example.org" not in shown
    assert decode(notebook.ended(handle.id)["body"]).reply_to == ADDRESS

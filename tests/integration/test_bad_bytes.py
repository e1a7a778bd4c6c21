"""What is put into a lane by hand, or by another release: a dead letter that keeps it, and the lane goes on."""

import json
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import field_validator

from tests.integration.kinds import WRITE, OnPage, Write
from tests.integration.notebook import Notebook
from worker.job import KINDS

GOOD: dict[str, Any] = {
    "seq": 7,
    "id": "by-hand",
    "kind": "notebook.write",
    "lane": "page:p",
    "actor": "U0HAND",
    "reason": None,
    "at": 1_700_000_000_000_000,
    "digest": "d",
    "payload": {"page": "p", "text": "by hand"},
}


def raw(**changes: Any) -> bytes:
    """An envelope with changes."""
    return json.dumps({**GOOD, **changes}).encode()


def dead_after(notebook: Notebook, *put: bytes) -> list[dict[str, Any]]:
    """Put bytes between two good jobs and drain; the dead letters that came of them."""
    notebook.enqueue(Write(page="p", text="before"))
    for each in put:
        notebook.put("page:p", each)
    notebook.enqueue(Write(page="p", text="after"), Write(page="q", text="beside"))
    notebook.drain_all(notebook.worker(max_attempts=2, order_attempts=2))
    assert [text for text in notebook.lines("p") if text != "by hand"] == ["before", "after"]
    assert notebook.lines("q") == ["beside"]
    assert notebook.left_in_redis() == set()
    return notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead' ORDER BY seq, job_id")


GARBAGE = {
    "nothing": b"",
    "no JSON": b"hello",
    "binary": bytes(range(256)),
    "NUL": b"\0\0\0",
    "half an envelope": raw()[:60],
    "another shape": b"[1, 2, 3]",
    "a field too few": json.dumps({k: v for k, v in GOOD.items() if k != "actor"}).encode(),
    "a field too many": raw(extra=1),
    "a number as id": raw(id=5),
    "a lone surrogate": raw().replace(b"by hand", rb"\ud800"),
    "NUL in the id": raw(id="a\0b"),
    "NUL in the kind": raw(kind="a\0b"),
    "NUL in the lane": raw(lane="a\0b"),
    "NUL in the actor": raw(actor="a\0b"),
    "NUL in the reason": raw(reason="a\0b"),
    "NUL in the digest": raw(digest="a\0b"),
    "an endless id": raw(id="x" * 100_000),
    "an endless random id": raw(id="".join(chr(0x4E00 + n * n % 20_000) for n in range(9000))),
    "an endless lane": raw(lane="".join(chr(0x4E00 + n * n % 20_000) for n in range(9000))),
    "a negative number": raw(seq=-1),
    "a number too large": raw(seq=2**63),
    "a time too large": raw(at=2**60),
    "deep": b'{"seq":' + b"[" * 100_000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_bytes_that_are_no_envelope_are_a_dead_letter_that_keeps_them(notebook: Notebook, garbage: bytes) -> None:
    (dead,) = dead_after(notebook, garbage)
    assert dead["code"] == "damaged"
    assert bytes(dead["body"]) == garbage
    assert dead["lane"] == "page:p"
    assert dead["error"]


UNFIT = {
    "another lane's job": (raw(lane="page:q", payload={"page": "q", "text": "by hand"}), "wrong_lane"),
    "another lane's payload": (raw(payload={"page": "q", "text": "by hand"}), "wrong_lane"),
    "a payload of another release": (raw(payload={"page": "p", "words": "by hand"}), "invalid"),
    "a payload of another type": (raw(payload="by hand"), "invalid"),
    "no payload": (raw(payload=None), "invalid"),
    "a kind that nobody knows": (raw(kind="notebook.burn"), "unknown_kind"),
    "NUL in the payload": (raw(payload={"page": "p", "text": "a\0b"}), "permanent"),
}


@pytest.mark.parametrize(("unfit", "code"), UNFIT.values(), ids=UNFIT.keys())
def test_an_envelope_that_can_not_be_applied_is_a_dead_letter_that_keeps_it(
    notebook: Notebook, unfit: bytes, code: str
) -> None:
    (dead,) = dead_after(notebook, unfit)
    assert (dead["job_id"], dead["code"], bytes(dead["body"])) == ("by-hand", code, unfit)


def test_the_same_bad_bytes_twice_are_one_dead_letter(notebook: Notebook) -> None:
    (dead,) = dead_after(notebook, b"hello", b"hello")
    assert bytes(dead["body"]) == b"hello"


def test_the_same_bad_bytes_in_two_lanes_are_two_dead_letters(notebook: Notebook) -> None:
    notebook.put("page:p", b"hello")
    notebook.put("page:q", b"hello")
    notebook.drain_all()
    assert {row["lane"] for row in notebook.rows("SELECT lane FROM onelane.ledger")} == {"page:p", "page:q"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([raw()[:n] for n in range(1, 200, 7)]), min_size=1, max_size=5)
)
def test_whatever_bytes_stand_in_a_lane_it_goes_on(notebook: Notebook, found: list[bytes]) -> None:
    for each in found:
        notebook.put("page:r", each)
    notebook.enqueue(Write(page="r", text="after"))
    before = len(notebook.lines("r"))
    notebook.drain_all()
    assert len(notebook.lines("r")) == before + 1
    kept = {bytes(row["body"]) for row in notebook.rows("SELECT body FROM onelane.ledger WHERE status = 'dead'")}
    assert set(found) <= kept


def test_a_kind_of_another_release_is_waited_for_and_applied_when_the_worker_knows_it(notebook: Notebook) -> None:
    class Fold(OnPage, kind="notebook.fold"):
        text: str
        sql = WRITE

    notebook.enqueue(Fold(page="p", text="new"), Write(page="p", text="after"), Write(page="q", text="beside"))
    del KINDS["notebook.fold"]
    worker = notebook.patient_worker()
    assert worker.drain() == {"applied": 1, "retried": 1}
    assert notebook.lines("q") == ["beside"]
    KINDS["notebook.fold"] = Fold
    try:
        notebook.end_backoffs()
        assert notebook.drain_all() == {"applied": 2}
    finally:
        del KINDS["notebook.fold"]
    assert notebook.lines("p") == ["new", "after"]


def test_a_kind_whose_own_code_breaks_on_a_payload_is_a_dead_letter_and_stops_nobody(notebook: Notebook) -> None:
    class Tear(OnPage, kind="notebook.tear"):
        text: str
        sql = WRITE
        healthy: ClassVar = True

        @field_validator("text")
        @classmethod
        def whole(cls, text: str) -> str:
            return text if cls.healthy else {}[text]

    notebook.enqueue(Write(page="p", text="before"), Tear(page="p", text="new"), Write(page="p", text="after"))
    Tear.healthy = False
    try:
        notebook.drain_all(notebook.worker(max_attempts=2))
    finally:
        del KINDS["notebook.tear"]
    assert notebook.lines("p") == ["before", "after"]
    (dead,) = notebook.rows("SELECT * FROM onelane.ledger WHERE status = 'dead'")
    assert (dead["kind"], dead["error_class"]) == ("notebook.tear", "KeyError")

"""An order is a validated job: what is wrong with it is said before anything is queued."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_envelope import JSON, Note, queued
from worker.enqueue import order
from worker.envelope import decode
from worker.errors import InvalidJob, JobTooLarge, Refused
from worker.settings import Settings

SETTINGS = Settings(payload_limit=1000)
ACTOR = "actor: expected 1 to 50 characters without blanks: who asks for this?"
ID = "id: expected 1 to 200 letters, digits or any of _.:@/+=~- , got {!r}"
REASON = "reason: expected at most 2000 characters and no NUL, got {}"
REPLY_TO = "reply_to: expected an https:// URL of at most 500 characters (http:// on this machine only)"
SURROGATE = "payload: its text is not valid Unicode (a lone surrogate)"

BAD: list[tuple[dict[str, Any], str]] = [
    *[({"actor": actor}, ACTOR) for actor in ("", "x" * 51, "a b", "a\n", "\0", "\x7f", None, 5, b"a")],
    *[({"job_id": bad}, ID.format(bad)) for bad in ("", "x" * 201, "a b", "ä", "a\n", "\0", "a{b}", 5, b"a")],
    ({"reason": "x" * 2001}, REASON.format("2001 characters")),
    ({"reason": "a\0b"}, REASON.format("3 characters")),
    ({"reason": 5}, REASON.format("int")),
    *[({"reply_to": url}, REPLY_TO) for url in (5, b"https://example.com/a")],
    ({"reason": "\ud800"}, SURROGATE),
    ({"actor": "\udc80"}, SURROGATE),
]


@pytest.mark.parametrize(("options", "sentence"), BAD)
def test_what_is_wrong_around_a_payload_is_named(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidJob, match=f"^{re.escape(sentence)}$"):
        order(Note(body=1), SETTINGS, **{"actor": "a", **options})


@pytest.mark.parametrize(("job", "name"), [({"body": 1}, "dict"), (None, "NoneType"), (Note, "ModelMetaclass")])
def test_what_is_no_job_is_refused(job: Any, name: str) -> None:
    with pytest.raises(InvalidJob, match=f"^job: expected an instance of a job kind, got {name}$"):
        order(job, SETTINGS, actor="a")


@pytest.mark.parametrize("body", ["\ud800", {"deep": ["\udfff"]}, {"\ud800": 1}])
def test_a_payload_with_a_lone_surrogate_is_refused(body: Any) -> None:
    with pytest.raises(InvalidJob, match=f"^{re.escape(SURROGATE)}$"):
        order(Note(body=body), SETTINGS, actor="a")


@pytest.mark.parametrize(
    ("body", "why"),
    [(LookupError, "Unable to serialize unknown type: <class 'type'>"), (b"\xff", "'utf-8' codec can't decode .*")],
)
def test_a_payload_that_json_can_not_say_is_refused(body: Any, why: str) -> None:
    with pytest.raises(InvalidJob, match=rf"^payload: expected what JSON can say \({why}\)$"):
        order(Note(body=body), SETTINGS, actor="a")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("a\0", "body"),
        ({"deep": [1, "\0"]}, "body.deep.1"),
        ([{"a\0b": 1}], "body.0"),
        ([None, {"x": "\\\0"}], "body.1.x"),
    ],
)
def test_a_payload_with_nul_is_refused_and_the_place_named(body: Any, place: str) -> None:
    with pytest.raises(InvalidJob, match=f"^payload.{place}: expected text without NUL$"):
        order(Note(body=body), SETTINGS, actor="a")


@pytest.mark.parametrize("body", [r"\u0000", r"\\u0000", {r"\u0000": "0"}])
def test_text_that_only_looks_like_nul_is_taken(body: Any) -> None:
    assert decode(queued(1, order(Note(body=body), SETTINGS, actor="a").body)).payload == {"body": body}


def test_a_payload_over_the_limit_is_refused_with_both_sizes_and_one_at_the_limit_is_taken() -> None:
    around = len(order(Note(body=""), SETTINGS, actor="a", job_id="1").body)
    assert len(order(Note(body="x" * (1000 - around)), SETTINGS, actor="a", job_id="1").body) == 1000
    with pytest.raises(JobTooLarge, match=r"^payload: the job takes 1001 bytes, the limit is 1000$"):
        order(Note(body="x" * (1001 - around)), SETTINGS, actor="a", job_id="1")


@given(JSON, st.text(max_size=60), st.none() | st.text(max_size=30), st.none() | st.text(max_size=30))
def test_whatever_is_ordered_is_refused_or_can_be_read_by_a_worker(
    body: Any, actor: str, job_id: str | None, reason: str | None
) -> None:
    try:
        made = order(Note(body=body), Settings(), actor=actor, job_id=job_id, reason=reason)
    except Refused:
        return
    found = decode(queued(1, made.body))
    assert (found.id, found.actor, found.reason, found.payload) == (made.id, actor, reason, {"body": body})


def test_ids_that_are_made_grow_with_time() -> None:
    ids = [order(Note(body=1), SETTINGS, actor="a").id for _ in range(1000)]
    assert ids == sorted(set(ids))

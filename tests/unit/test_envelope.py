"""The envelope's codec: what was put in comes out; bytes that are none are refused with the field that is wrong."""

import json
import re
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import Job
from worker.envelope import LARGEST_NUMBER, Envelope, decode, digest_of, encode
from worker.errors import Damaged

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=250)
REASON = st.none() | NAME
NUMBER = st.integers(0, LARGEST_NUMBER - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
WITHOUT_NUL = JSON.filter(lambda value: r"\u0000" not in json.dumps(value))


class Note(Job, kind="unit.note"):
    """Any payload at all."""

    body: Any
    sql = "SELECT"

    def lane(self) -> str:
        """One lane."""
        return "note"


def queued(seq: int, body: bytes) -> bytes:
    """The envelope as enqueue.lua puts it onto a lane."""
    return b'{"seq":%d,' % seq + body[1:]


@given(NUMBER, NAME, NAME, NAME, REASON, NUMBER, WITHOUT_NUL, st.none() | st.text("abc:/.", max_size=500))
def test_what_was_put_in_comes_out(
    seq: int, lane: str, job_id: str, actor: str, reason: str | None, at: int, body: Any, reply_to: str | None
) -> None:
    digest, made = encode(
        Note(body=body), lane=lane, job_id=job_id, actor=actor, reason=reason, at=at, reply_to=reply_to
    )
    expected = Envelope(seq, job_id, "unit.note", lane, actor, reason, at, digest, {"body": body}, reply_to)
    assert decode(queued(seq, made)) == expected


@given(JSON, JSON)
def test_digests_are_equal_if_and_only_if_kind_and_payload_are(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (digest_of("a", {"body": first}) == digest_of("a", {"body": second})) == same
    assert digest_of("a", {"body": first}) != digest_of("b", {"body": first})


@given(st.dictionaries(TEXT, JSON, min_size=2, max_size=4), st.randoms())
def test_the_order_of_keys_changes_no_digest_however_deep_they_lie(payload: dict[str, Any], random: Random) -> None:
    def shuffled(value: Any) -> Any:
        match value:
            case dict():
                return {key: shuffled(value[key]) for key in random.sample(list(value), len(value))}
            case list():
                return list(map(shuffled, value))
            case _:
                return value

    assert digest_of("a", shuffled(payload)) == digest_of("a", payload)


def test_a_default_that_is_given_is_the_same_job() -> None:
    class Shift(Job, kind="unit.shift"):
        person: str
        hours: int = 6
        sql = "SELECT"

        def lane(self) -> str:
            return "shift"

    around = {"lane": "shift", "job_id": "1", "actor": "a", "reason": None, "at": 1}
    jobs = [Shift(person="U0EXAMPLE01"), Shift(hours=6, person="U0EXAMPLE01")]
    assert len({encode(job, **around)[0] for job in jobs}) == 1


def test_the_time_of_the_enqueue_is_read_to_the_microsecond_in_utc() -> None:
    envelope = Envelope(1, "i", "k", "l", "a", None, 1_700_000_000_123_456, "d", None)
    assert envelope.enqueued_at == datetime(2023, 11, 14, 22, 13, 20, 123_456, UTC)


GOOD: dict[str, Any] = {
    "seq": 1, "id": "i", "kind": "k", "lane": "l", "actor": "a", "reason": None, "at": 1, "digest": "d", "payload": {},
}  # fmt: skip
BAD = [
    ("seq", "1", "seq: Input should be a valid integer"),
    ("seq", -1, "seq: Input should be greater than or equal to 0"),
    ("seq", 2**53, "seq: Input should be less than 9007199254740992"),
    ("at", 1.5, "at: Input should be a valid integer"),
    ("id", None, "id: Input should be a valid string"),
    ("id", "x" * 251, "id: String should have at most 250 characters"),
    ("kind", "x" * 251, "kind: String should have at most 250 characters"),
    ("lane", "x" * 251, "lane: String should have at most 250 characters"),
    ("actor", "x" * 251, "actor: String should have at most 250 characters"),
    ("digest", 7, "digest: Input should be a valid string"),
    ("reason", 5, "reason: Input should be a valid string"),
    ("reply_to", "x" * 501, "reply_to: String should have at most 500 characters"),
    *[
        (name, "a\0b", f"{name}: expected text without NUL")
        for name in ("id", "kind", "lane", "actor", "reason", "digest", "reply_to")
    ],
    ("version", 2, "version: Unexpected keyword argument"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), BAD)
def test_a_wrong_field_is_named_with_what_was_expected(field: str, value: Any, sentence: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(sentence)}$"):
        decode(json.dumps({**GOOD, field: value}).encode())


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(Damaged, match=f"^{field}: Field required$"):
        decode(json.dumps({name: value for name, value in GOOD.items() if name != field}).encode())


@pytest.mark.parametrize("raw", [b"", b"\0", b"\xff\xfe", b"{", b'{"seq":1', b"[" * 10_000, b'{"id":"\\ud800"}'])
def test_bytes_that_are_no_json_are_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(Damaged, match=r"^payload: Invalid JSON: "):
        decode(raw)


@pytest.mark.parametrize("raw", [b"null", b"[]", b'"text"', b"1"])
def test_json_that_is_no_object_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(Damaged, match=r"^payload: Input should be an object$"):
        decode(raw)


def test_a_secret_url_is_in_no_text_about_an_envelope() -> None:
    envelope = decode(json.dumps({**GOOD, "reply_to": "https://example.com/secret"}).encode())
    assert "secret" not in f"{envelope!r} {envelope}"


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_the_bytes_are_nothing_but_damaged_is_raised(raw: bytes) -> None:
    with pytest.raises(Damaged):
        decode(raw)


@given(st.data())
def test_an_envelope_whose_bytes_were_changed_is_another_one_or_damaged(data: st.DataObject) -> None:
    raw = bytearray(json.dumps(GOOD).encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(raw))
    except Damaged:
        return
    assert isinstance(found, Envelope)

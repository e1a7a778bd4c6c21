"""`enqueue KIND field=value…`: what a person types becomes the payload that was meant."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic_core import to_json

from tests.unit.test_envelope import JSON, TEXT
from worker import Job
from worker.errors import InvalidJob
from worker.fields import read_fields, with_fields


class Form(Job, kind="unit.form"):
    """A field of each type."""

    text: str = ""
    note: str | None = None
    number: int = 0
    share: float = 0.0
    urgent: bool = False
    tags: list[str] = []
    size: dict[str, int] = {}
    either: int | str = 0
    sql = "SELECT"

    def lane(self) -> str:
        """One lane."""
        return "form"


READ = [
    ("text", "42", "42"),
    ("text", '"42"', "42"),
    ("text", "true", "true"),
    ("text", "null", "null"),
    ("text", "", ""),
    ("text", "a=b", "a=b"),
    ("text", "[1", "[1"),
    ("text", "☃", "☃"),
    ("note", "null", None),
    ("note", '"null"', "null"),
    ("note", "7", "7"),
    ("number", "7", 7),
    ("number", '"7"', 7),
    ("share", "1e3", 1000.0),
    ("urgent", "true", True),
    ("urgent", "yes", True),
    ("tags", '["a","b"]', ["a", "b"]),
    ("size", '{"w":3}', {"w": 3}),
    ("either", "7", 7),
    ("either", '"7"', "7"),
    ("either", "seven", "seven"),
]


@pytest.mark.parametrize(("field", "word", "value"), READ)
def test_a_value_is_json_where_its_field_agrees_and_text_where_not(field: str, word: str, value: Any) -> None:
    job = Form.model_validate(with_fields(Form, {}, read_fields([f"{field}={word}"])))
    assert getattr(job, field) == value
    assert type(getattr(job, field)) is type(value)


@given(TEXT)
def test_any_text_that_is_typed_as_json_is_that_text(text: str) -> None:
    words = [f"text={to_json(text).decode()}"]
    assert with_fields(Form, {}, read_fields(words)) == {"text": text}


@given(TEXT)
def test_any_text_that_is_typed_as_it_is_is_that_text_unless_it_is_a_text_in_json(text: str) -> None:
    assume(not text.strip().startswith('"'))
    assert with_fields(Form, {}, read_fields([f"text={text}"])) == {"text": text}


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), TEXT))
def test_fields_come_out_as_they_were_typed(fields: dict[str, str]) -> None:
    assert read_fields(f"{name}={value}" for name, value in fields.items()) == fields


@given(st.lists(st.tuples(st.sampled_from([*Form.model_fields, "colour"]), JSON | TEXT), max_size=4))
def test_whatever_is_typed_ends_in_a_payload_or_a_sentence(words: list[tuple[str, Any]]) -> None:
    typed = [f"{name}={value if isinstance(value, str) else to_json(value).decode()}" for name, value in words]
    names = [name for name, _ in words]
    if len(set(names)) == len(names):
        assert with_fields(Form, {}, read_fields(typed)).keys() == set(names)
    else:
        with pytest.raises(InvalidJob, match=r"^[a-z]+: given twice$"):
            read_fields(typed)


@pytest.mark.parametrize("word", ["page", "=value", "", "="])
def test_a_word_that_is_no_field_is_named(word: str) -> None:
    with pytest.raises(InvalidJob, match=f"^{re.escape(f'{word!r}: expected field=value')}$"):
        read_fields(["text=t", word])


def test_a_list_of_the_wrong_type_stays_a_list_so_that_its_own_error_is_said() -> None:
    assert with_fields(Form, {}, {"tags": "[1]"}) == {"tags": [1]}


def test_fields_stand_over_those_of_a_payload_that_is_edited() -> None:
    assert with_fields(Form, {"text": "old", "number": 1}, {"text": "new"}) == {"text": "new", "number": 1}

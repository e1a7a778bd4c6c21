"""The mask: pseudonyms tell what belongs together, and nothing else."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_envelope import JSON, TEXT
from worker.mask import Mask
from worker.verdict import Failure, Fault

KEY = "nobody knows this"


@given(st.lists(TEXT, max_size=30))
def test_equal_texts_and_only_they_have_equal_pseudonyms_on_every_worker(texts: list[str]) -> None:
    one, other = Mask(KEY), Mask(KEY)
    shown = {text: one.text(text) for text in texts}
    assert shown == {text: other.text(text) for text in texts}
    assert len(set(shown.values())) == len(shown)


@given(TEXT)
def test_another_key_gives_other_pseudonyms(text: str) -> None:
    assert Mask(KEY).text(text) != Mask(KEY + "!").text(text)


@given(JSON)
def test_a_payload_keeps_its_shape_its_names_and_its_numbers_and_none_of_its_texts(payload: Any) -> None:
    mask = Mask(KEY)

    def check(before: Any, after: Any) -> None:
        match before:
            case str():
                assert after == mask.text(before)
            case dict():
                assert list(after) == list(before)
                for name in before:
                    check(before[name], after[name])
            case list():
                assert len(after) == len(before)
                for each in zip(before, after, strict=True):
                    check(*each)
            case _:
                assert after is before

    check(payload, mask.payload(payload))


def test_a_lane_shows_whose_sort_it_is_and_not_who() -> None:
    mask = Mask(KEY)
    assert mask.lane("user:U0EXAMPLE01") == f"user:{mask.text('U0EXAMPLE01')}"
    assert mask.lane("override:26:po") == f"override:{mask.text('26:po')}"
    assert mask.lane("rotation") == "rotation"


def test_an_error_shows_its_class_and_codes_and_where_to_read_more_but_not_what_it_says() -> None:
    mask = Mask(KEY)
    violation = Failure(Fault.PERMANENT, "CheckViolation", "23514", "(U0EXAMPLE01, Ann) violates", "names_are_short")
    assert mask.error(violation, "7") == "CheckViolation (23514, names_are_short): `onelane job 7` says more"
    other = Failure(Fault.TRANSIENT, "KeyError", None, "'U0EXAMPLE01'")
    assert mask.error(other, "7") == "KeyError: `onelane job 7` says more"

"""Names of lanes, and the keys that are made of them."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worker
from worker.errors import Refused
from worker.lane import Keys, check_lane
from worker.script import script

SCRIPTS = sorted(path.stem for path in (Path(worker.__file__).parent / "lua").glob("*.lua"))
OF = {"lane": "user:U0EXAMPLE01", "outcome": "id", "grant": "drain"}
NOT_PRINTED = "".join(map(chr, range(0x21))) + "\x7f"


@given(st.text(st.characters(exclude_characters=NOT_PRINTED), min_size=1, max_size=200))
def test_a_name_of_up_to_200_characters_without_blanks_and_controls_is_taken_as_it_is(name: str) -> None:
    assert check_lane(name) == name


@pytest.mark.parametrize("name", ["", "x" * 201, "page: a", "a\tb", "a\n", "\0", "a\x7f", " ", None, 5, b"a"])
def test_any_other_name_is_refused_in_a_sentence_that_shows_it(name: Any) -> None:
    sentence = f"lane: {name!r} is no lane name; expected 1 to 200 characters without blanks"
    with pytest.raises(Refused, match=f"^{re.escape(sentence)}$"):
        check_lane(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_all_keys_of_a_script_lie_on_one_slot_of_a_cluster(name: str) -> None:
    keys = Keys("p1")
    of = {**OF, "effects": "p1:effects"}
    tags = {re.findall(r"\{(.+?)\}", keys.named(key, **of))[0] for key in script(name).keys if key != "effects"}
    assert tags <= ({"p1:effects"} if name == "publish" else {"p1"})


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_lanes_never_share_a_key_nor_take_that_of_anything_else(first: str, second: str) -> None:
    keys = Keys("p1")
    fixed = {keys.named(key) for name in SCRIPTS for key in script(name).keys if key not in {*OF, "effects", "seen"}}
    fixed -= {keys.named("lanes"), keys.named("outcomes")}  # beginnings of keys, for scripts that meet many
    assert (keys.lane(first) == keys.lane(second)) == (first == second)
    assert keys.lane(first) not in fixed
    assert keys.lane(first) != keys.outcome(second)
    assert keys.lane(first) == keys.named("lanes") + first
    assert keys.outcome(first) == keys.named("outcomes") + first


def test_partitions_share_no_key() -> None:
    one, other = ({Keys(prefix).named(key, **OF) for key in ("ready", "clock", *OF)} for prefix in ("p", "p1"))
    assert one.isdisjoint(other)

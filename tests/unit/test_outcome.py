"""An outcome's codec."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_envelope import JSON, TEXT
from worker.outcome import STATUSES, Outcome, packed


@given(st.sampled_from(sorted(STATUSES)), TEXT, TEXT, JSON, JSON)
def test_what_was_packed_is_read(status: Any, code: str, message: str, before: Any, after: Any) -> None:
    rows = [None if row is None else json.dumps(row) for row in (before, after)]
    raw = packed("9f0c", status, code, message, *rows)
    assert raw.partition(b" ")[0] == b"9f0c"  # what enqueue.lua compares
    assert Outcome.from_bytes(raw) == Outcome(status, code, message, before, after)

"""The work that is measured: `user.upsert`, and the same upsert and audit as one statement for one row."""

from collections.abc import Iterator
from pathlib import Path

from tasks import UpsertUser

ACTOR = "UBENCH"
SAVE_ONE = Path(__file__).with_name("save_one.sql").read_text(encoding="utf-8")
"""What the baselines run; takes `slack_id`, `name` and `actor`."""


def people(count: int, lanes: int, tag: str, *, first: int = 0) -> Iterator[UpsertUser]:
    """Jobs, in turn over the lanes from number `first` on; every name is new, so that each job changes its row."""
    for n in range(count):
        yield UpsertUser(slack_id=f"U{first + n % lanes:07}", name=f"{tag} {n}", discipline="po")

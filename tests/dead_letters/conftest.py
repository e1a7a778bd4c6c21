"""A notebook for each test, whose settings keep tests short, and a hand that replays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kinds import make_tables
from tests.integration.notebook import Notebook
from worker.dead_letters import Filter, Replayed, replay
from worker.settings import Settings

OPERATOR = "ada"


@pytest.fixture
def settings(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings for a partition and a database of this test's own; backoffs and lingering last a few ms."""
    make_tables(database_url)
    return Settings(
        redis_url=redis_url,
        database_url=database_url,
        prefix=prefix,
        effects_stream=f"{prefix}:effects",
        data_dir=tmp_path,
        tasks="tests.integration.kinds",
        linger_ms=1,
        backoff_base_ms=2,
        backoff_cap_ms=8,
        lock_timeout_ms=300,
    )


@pytest.fixture
def notebook(settings: Settings) -> Iterator[Notebook]:
    """A notebook on them."""
    opened = Notebook(settings)
    yield opened
    opened.close()


Sender = Callable[..., Replayed]


@pytest.fixture
def send_back(notebook: Notebook) -> Sender:
    """Replay by ids, or by a filter's fields; `force` as it is."""

    def send(*ids: str, force: bool = False, **fields: Any) -> Replayed:
        return replay(notebook.connection, Filter(ids=ids, **fields), actor=OPERATOR, reason="mended", force=force)

    return send

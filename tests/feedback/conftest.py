"""A receiver, a replier, and the notebook of tests/integration with its drains."""

from collections.abc import Iterator

import pytest

from tests.feedback.receiver import Receiver
from tests.integration.conftest import notebook, notebook_database, prompt_redis, settings
from worker.replies import Replier
from worker.settings import Settings

__all__ = ["notebook", "notebook_database", "prompt_redis", "settings"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes replies."""
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def replier(settings: Settings) -> Iterator[Replier]:
    """A replier at work."""
    started = Replier(settings)
    started.start()
    yield started
    started.stop()

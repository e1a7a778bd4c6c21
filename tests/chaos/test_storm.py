"""Whatever goes wrong in whatever order, each job takes effect once, in the order of its lane.

Set ONELANE_TEST_STORMS to a larger number for a longer night.
"""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Stand
from tests.chaos.storm import Crew, Storm
from tests.chaos.truth import Writing, check
from tests.integration.kinds import Tell, Write
from tests.integration.notebook import ACTOR, Notebook
from worker import Client
from worker.settings import Settings

STORMS = int(os.environ.get("ONELANE_TEST_STORMS", "2"))
"""Each has the seed of its number."""
BLOWS = 12
LANES = 6


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """However often a worker dies under a job, it is no dead letter."""
    return settings.model_copy(update={"max_deliveries": 1000, "max_attempts": 1000, "slice_ms": 1000})


@pytest.fixture
def crew(patient: Settings, tmp_path: Path) -> Iterator[Crew]:
    """Two workers."""
    opened = Crew(patient, tmp_path / "workers.log")
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", range(STORMS))
def test_a_storm(stand: Stand, patient: Settings, crew: Crew, seed: int) -> None:
    dice = random.Random(seed)
    storm = Storm(stand, crew, dice)
    client = Client(patient)
    jobs: dict[str, Writing] = {}

    def enqueue() -> None:
        page, text = f"p{dice.randrange(LANES)}", str(len(jobs))
        job = Tell(page=page, text=text, other="q") if dice.random() < 0.2 else Write(page=page, text=text)
        jobs[client.enqueue(job, actor=ACTOR).id] = job

    for _ in range(BLOWS):
        storm.wait(dice.uniform(0.1, 0.8))
        for _ in range(dice.randrange(50, 250)):
            enqueue()
        storm.blow()  # while what has just come is worked off
    enqueue()

    storm.calm_down(lambda: not client.redis.exists(client.keys.named("pending")))
    assert set(crew.stop()) <= {0, -signal.SIGTERM}  # one that has only just begun knows no better end
    notebook = Notebook(patient)
    notebook.drain_all()
    check(notebook, jobs)
    notebook.close()

"""A row that somebody else has locked is the job's own trouble and costs attempts, unlike a lane of a paused worker."""

import psycopg
import pytest

from tests.integration.kinds import Write
from tests.integration.notebook import Notebook


@pytest.mark.parametrize("others", [0, 1])
def test_a_job_that_waits_in_vain_for_a_row_uses_up_attempts(notebook: Notebook, others: int) -> None:
    """Its error arrives together with the fence's answer; it must not be taken for the fence's."""
    worker = notebook.patient_worker()
    handles = notebook.enqueue(Write(page="locked", text="a"), *(Write(page="free", text="b") for _ in range(others)))
    with psycopg.connect(notebook.settings.require_database()) as somebody:
        somebody.execute("INSERT INTO pages VALUES ('locked', 0, 'mine')")
        assert worker.drain() == {"retried": 1, **({"applied": others} if others else {})}
    assert notebook.head_memory("page:locked") == (1, 0)
    notebook.end_backoffs()
    assert worker.drain() == {"applied": 1}
    assert (handles[0].wait(0).status, notebook.ended(handles[0].id)["attempts"]) == ("applied", 2)

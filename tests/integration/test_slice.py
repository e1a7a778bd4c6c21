"""A drain ends with its time slice; what is left is the next one's."""

from tests.integration.kinds import Write
from tests.integration.notebook import Notebook


def test_a_drain_whose_slice_is_over_before_it_is_connected_claims_once_all_the_same(notebook: Notebook) -> None:
    notebook.enqueue(*(Write(page=page, text="x") for page in ("p", "q", "r")))
    done = []
    for name in ("w1", "w2", "w3", "w4"):
        worker = notebook.worker(name, slice_ms=1, claim_lanes=1)
        done.append((worker.drain(), [notebook.lines(page) for page in "pqr"]))
    assert done == [
        ({"applied": 1}, [["x"], [], []]),
        ({"applied": 1}, [["x"], ["x"], []]),
        ({"applied": 1}, [["x"], ["x"], ["x"]]),
        ({}, [["x"], ["x"], ["x"]]),
    ]

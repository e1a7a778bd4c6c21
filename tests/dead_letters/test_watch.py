"""What stays in the outbox is found by a watch, though nobody has notified it."""

import pytest

from tests.dead_letters.conftest import Sender, died
from tests.integration.kinds import Write
from tests.integration.notebook import Notebook, eventually
from worker.relay import Relay
from worker.watch import Watch


def is_called(notebook: Notebook) -> bool:
    return bool(notebook.redis.exists(notebook.keys.named("bell")))


def test_a_replay_that_its_claimed_lane_kept_out_calls_a_worker(
    notebook: Notebook, send_back: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.watch.LOOK_SECONDS", 1.0)
    (job_id,) = died(notebook, "a")
    worker = notebook.worker(lease_ms=600_000)
    notebook.enqueue(Write(page="p", text="b"))
    claim = worker.claimer().claim()
    send_back(job_id)
    assert Relay(notebook.redis, notebook.keys, notebook.settings).deliver(notebook.connection) == 0
    watch = Watch(notebook.settings)
    watch.start()
    try:
        eventually(lambda: is_called(notebook), "the first bell, at the beginning")
        notebook.redis.delete(notebook.keys.named("bell"))
        eventually(lambda: is_called(notebook), "a bell for what stayed in the outbox")
    finally:
        watch.stop()
    notebook.script("park", "page:p", claim.token, 0, "", 0, lane="page:p")  # type: ignore[union-attr]
    notebook.drain_all(worker)
    assert notebook.lines("p") == ["a", "b"]


def test_nobody_is_called_for_an_empty_outbox(notebook: Notebook) -> None:
    watch = Watch(notebook.settings)
    watch._begin_listening()
    assert watch._listen() is False
    assert watch._listening is not None
    watch._disconnect()

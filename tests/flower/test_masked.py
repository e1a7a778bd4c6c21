"""With ONELANE_MASK_KEY no monitor reads who a job is about, whatever becomes of it."""

from typing import Any

from celery import Celery

from tests.flower.books import Lend
from tests.flower.test_flower import ANN, BOB
from tests.operations.conftest import running_worker
from worker.client import Client
from worker.mask import Mask
from worker.settings import Settings

KEY = "nobody knows this"


def test_a_masked_worker_shows_what_happened_and_to_nobody(settings: Settings, redis_url: str, prefix: str) -> None:
    masked = settings.model_copy(update={"redis_url": redis_url, "prefix": prefix, "mask_key": KEY})
    client = Client(masked)
    heard: list[dict[str, Any]] = []
    with (
        Celery("monitor", broker=masked.broker, set_as_current=False) as monitor,
        monitor.connection() as connection,
        running_worker(masked, settings.data_dir / "masked-log"),
    ):
        receiver = monitor.events.Receiver(connection, handlers={"*": heard.append})
        with receiver.consumer_context() as (listening, _, _):
            listening.drain_events(timeout=20)
            jobs = [Lend(book="untitled", person=ANN), Lend(book="Emma", person=ANN)]
            dead, lent = client.enqueue_many(jobs, actor=BOB)
            while {"task-failed", "task-succeeded"} - {e["type"] for e in heard if e.get("uuid") in {dead.id, lent.id}}:
                listening.drain_events(timeout=20)
    said = {event["type"]: event for event in heard if event.get("uuid") == dead.id}
    assert f"'actor': '{Mask(KEY).text(BOB)}'" in said["task-received"]["kwargs"]
    assert said["task-failed"]["exception"] == (
        f"CheckViolation (23514, books_have_titles): `onelane job {dead.id}` says more"
    )
    assert not [word for word in (ANN, BOB, "untitled", "Emma") if word in str(heard)]
    client.redis.close()

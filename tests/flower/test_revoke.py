"""Flower and Celery's own `revoke` cancel a waiting job in its lane, for good; for a task they do what they did."""

import uuid

import psycopg
import pytest
from celery import Celery
from pydantic_core import from_json

from tests.flower.dashboard import Dashboard
from tests.flower.test_flower import ANN, lend, lock, shown
from tests.operations.conftest import running, until
from worker.bell import DRAIN, QUEUE
from worker.client import Client
from worker.intervention import Interventions
from worker.settings import Settings
from worker.up import worker_command

MESSAGE = "An operator cancelled this: it was revoked, in Flower or with Celery"


@pytest.fixture(scope="session")
def celery(settings: Settings) -> Celery:
    """Any Celery app on the same broker."""
    return Celery("somebody", broker=settings.broker, set_as_current=False)


@pytest.fixture
def operator(client: Client) -> Interventions:
    """A person who acts on lanes."""
    return Interventions(client.redis, client.settings, ANN)


def test_flowers_button_cancels_a_job_that_waits_for_its_next_try_at_once(
    dashboard: Dashboard, client: Client, connection: psycopg.Connection
) -> None:
    lock(connection, "Dune")
    first, second = lend(client, "Dune"), lend(client, "Dune", reason="the successor")
    shown(dashboard, first, "RETRY")
    connection.rollback()
    assert dashboard.post(f"/api/task/revoke/{first.id}") == {"message": f"Revoked '{first.id}'"}
    outcome = first.wait(20)
    assert (outcome.status, outcome.code, outcome.message) == ("cancelled", "cancelled", MESSAGE)
    assert second.wait(20).code == "lent"
    task = shown(dashboard, first, "REVOKED")
    assert (task["result"], task["retries"]) == ("cancelled: cancelled", 1)
    assert client.redis.hlen(client.keys.named("cancelled")) == 0


def test_a_job_that_no_worker_has_touched_stays_cancelled_though_all_that_heard_are_killed(
    settings: Settings, redis_url: str, prefix: str
) -> None:
    """Celery's own revoke is forgotten with the workers that heard it."""
    own = settings.model_copy(update={"redis_url": redis_url, "prefix": prefix})
    client, log = Client(own), settings.data_dir / "killed-log"
    operator = Interventions(client.redis, own, ANN)
    first, second = lend(client, "Faust"), lend(client, "Faust")
    operator.hold("book:Faust", "to look at it", None)
    with Celery("somebody", broker=own.broker, set_as_current=False) as celery:
        with running(worker_command(own, "killed@%h"), own, log):
            said = until(lambda: celery.control.revoke(first.id, reply=True, timeout=1, limit=1))
            assert list(said[0].values()) == [{"ok": f"jobs {first.id} cancelled in their lanes"}]
        with running(worker_command(own, "successor@%h"), own, log):
            operator.resume("book:Faust")
            assert (first.wait(20).message, second.wait(20).code) == (MESSAGE, "lent")
    client.redis.close()


def test_each_worker_answers_and_the_first_mark_stays(
    dashboard: Dashboard, client: Client, celery: Celery, operator: Interventions, connection: psycopg.Connection
) -> None:
    lock(connection, "Dracula")
    handles = [lend(client, "Dracula") for _ in range(3)]
    shown(dashboard, handles[0], "RETRY")
    operator.hold("book:Dracula", "to look at it", None)
    assert operator.cancel(handles[1].id, "a typo")
    replies = celery.control.revoke([handles[1].id, handles[2].id], reply=True, timeout=5, limit=2)
    said = {"ok": f"jobs {handles[1].id}, {handles[2].id} cancelled in their lanes"}
    assert [answer for reply in replies for answer in reply.values()] == [said, said]
    marks = {
        job.decode(): from_json(note) for job, note in client.redis.hgetall(client.keys.named("cancelled")).items()
    }
    assert {job: (note["by"], note["why"]) for job, note in marks.items()} == {
        handles[1].id: (ANN, "a typo"),
        handles[2].id: ("revoke", "it was revoked, in Flower or with Celery"),
    }
    connection.rollback()
    operator.resume("book:Dracula")
    assert [handle.wait(20).message for handle in handles[1:]] == ["An operator cancelled this: a typo", MESSAGE]
    assert handles[0].wait(0).code == "lent"
    again = celery.control.revoke(handles[2].id, reply=True, timeout=5, limit=2)
    assert [answer for reply in again for answer in reply.values()] == [
        {"ok": f"tasks {{'{handles[2].id}'}} flagged as revoked"}
    ] * 2


def test_a_drain_is_revoked_as_any_task_is(dashboard: Dashboard, celery: Celery) -> None:
    drain = str(uuid.uuid4())
    replies = celery.control.revoke(drain, reply=True, timeout=5, limit=2)
    assert [answer for reply in replies for answer in reply.values()] == [
        {"ok": f"tasks {{'{drain}'}} flagged as revoked"}
    ] * 2
    celery.send_task(DRAIN, task_id=drain, queue=QUEUE)
    until(lambda: dashboard.state(drain) == "REVOKED")

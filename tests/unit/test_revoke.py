"""Celery's command with our addition: its name, its arguments, and what it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery
from celery.worker import control
from celery.worker.state import revoked
from redis import Redis

from tests.unit.test_envelope import Note
from worker import Client, revoke
from worker.settings import Settings


@dataclass(frozen=True)
class Consumer:
    """What a command knows of its worker."""

    app: Celery


@pytest.fixture
def client(redis_url: str, prefix: str, tmp_path: Path) -> Iterator[Client]:
    """A client; nobody drains."""
    opened = Client(Settings(redis_url=redis_url, prefix=prefix, data_dir=tmp_path))
    yield opened
    opened.redis.close()


@pytest.fixture
def celerys_table() -> Iterator[None]:
    """The table of commands as it was, afterwards."""
    panel = control.Panel
    before = dict(panel.data), dict(panel.meta)
    yield
    panel.data.clear()
    panel.data.update(before[0])
    panel.meta.clear()
    panel.meta.update(before[1])


@pytest.mark.usefixtures("celerys_table")
def test_it_stands_in_for_celerys_own_under_its_name_and_signature() -> None:
    own = control.Panel.meta["revoke"]
    revoke.take_over()
    assert control.Panel.data["revoke"] is revoke.revoke
    assert control.Panel.meta["revoke"].variadic == own.variadic == "task_id"
    assert control.Panel.meta["revoke"].signature == own.signature


def test_jobs_are_cancelled_and_other_ids_revoked(client: Client, redis: Redis) -> None:
    first, second = client.enqueue_many([Note(body=1), Note(body=2)], actor="U0EXAMPLE01")
    with Celery(broker=client.settings.broker, set_as_current=False) as app:
        app.onelane_settings = client.settings
        state = Consumer(app)
        assert revoke.revoke(state, second.id) == {"ok": f"jobs {second.id} cancelled in their lanes"}
        try:
            assert revoke.revoke(state, [first.id, "drain-1"]) == {"ok": "tasks {'drain-1'} flagged as revoked"}
            assert "drain-1" in revoked
            assert not {first.id, second.id} & set(revoked)
        finally:
            revoked.discard("drain-1")
    assert set(redis.hkeys(client.keys.named("cancelled"))) == {first.id.encode(), second.id.encode()}

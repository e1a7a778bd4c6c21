"""A notebook for each test, whose settings keep tests short; ways to have dead letters, and a hand that replays."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from tests.integration.kinds import Write, make_tables
from tests.integration.notebook import Notebook, Worker
from worker import Job
from worker.dead_letters import Filter, Replayed, import_lines, replay
from worker.enqueue import order
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
        tasks="tasks,tests.integration.kinds",
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


def died(notebook: Notebook, *texts: str, page: str = "p", sqlstate: str = "22000") -> list[str]:
    """The ids of jobs that died in a drain because their texts are faulty; the fault is mended now."""
    for text in texts:
        notebook.make_faulty(text, sqlstate)
    handles = notebook.enqueue(*(Write(page=page, text=text) for text in texts))
    notebook.drain_all()
    for text in texts:
        notebook.mend(text)
    return [handle.id for handle in handles]


def line_of(job: Job, seq: int, settings: Settings, **others: Any) -> bytes:
    """A job as a line of an export, as if it had died."""
    made = order(job, settings, actor="U0WRITER", job_id=f"{job.kind}:{seq}")
    now = datetime.now(UTC).isoformat()
    fields = {
        "id": made.id,
        "kind": job.kind,
        "lane": made.lane,
        "seq": seq,
        "actor": "U0WRITER",
        "reason": None,
        "digest": made.digest,
        "status": "dead",
        "code": "permanent",
        "message": "",
        "attempts": 1,
        "worker": "w",
        "token": 1,
        "enqueued_at": now,
        "first_attempt_at": now,
        "finished_at": now,
        "error_class": "DataException",
        "sqlstate": "22000",
        "error": "faulty",
        "traceback": None,
        "replays": 0,
        "original": None,
        "body": b64encode(b'{"seq":%d,%s' % (seq, made.body[1:])).decode(),
    }
    return to_json({**fields, **others})


def bury(notebook: Notebook, jobs: Sequence[Job], *, first: int = 1, **others: Any) -> list[str]:
    """Many dead letters, numbered from `first`, without the work of dying; their ids."""
    lines = [line_of(job, seq, notebook.settings, **others) for seq, job in enumerate(jobs, first)]
    done = import_lines(notebook.connection, lines, actor=OPERATOR)
    assert (done.known, done.refused) == ([], {})
    return done.imported


def acts(notebook: Notebook) -> list[tuple[Any, ...]]:
    """What operators did, in order."""
    return notebook.connection.execute("SELECT actor, act, job_id, reason FROM onelane.acts ORDER BY id").fetchall()


@contextmanager
def draining(notebook: Notebook, workers: int = 1) -> Iterator[None]:
    """Workers that drain meanwhile, each in a thread."""
    stopped = threading.Event()

    def drain(worker: Worker) -> None:
        while not stopped.is_set():
            worker.drain()

    threads = [
        threading.Thread(target=drain, args=[notebook.worker(f"w{number}")], name=f"w{number}")
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()

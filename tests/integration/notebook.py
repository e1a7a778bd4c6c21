"""A notebook: a client, drains, and a look at what they left, on one partition and one database."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row
from redis import Redis

from tests.integration.kinds import make_faulty, mend, tries_of
from worker import Client, Handle, Job
from worker.alerts import Alerts
from worker.bell import ringer
from worker.claim import Claimer
from worker.drain import Drain
from worker.events import Events
from worker.lane import Keys
from worker.redis_client import redis_client
from worker.script import run
from worker.session import Session
from worker.settings import Settings

PATIENCE_SECONDS = 20.0
ACTOR = "U0WRITER"

OF_LANES = frozenset({"ready", "claimed", "tokens", "attempts", "crashes", "held", "pending", "cancelled"})
"""Keys that are only there while a lane is not empty."""


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait until it holds; a failure says what didn't."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"still not after {PATIENCE_SECONDS:g} s: {what}"
        time.sleep(0.01)


class Worker:
    """One worker: what a worker process keeps between its drains, without the process."""

    def __init__(self, settings: Settings, name: str) -> None:
        self.settings, self.name = settings, name
        self.redis = redis_client(settings)
        self.alerts = Alerts(self.redis, Keys(settings.prefix))
        self.session = Session(settings, self.alerts, name)

    def drain(self) -> Counter[str]:
        """One drain, to its end."""
        drain = f"{self.name}:{uuid4().hex[:8]}"
        with closing(Events(ringer(self.settings.broker, 2.0), self.name, drain=drain)) as events:
            return Drain(self.settings, self.redis, self.session, self.alerts, events, self.name, drain).run()

    def claimer(self) -> Claimer:
        """Claims of a drain that goes on as the test wants."""
        return Claimer(self.redis, Keys(self.settings.prefix), self.settings, f"{self.name}:{uuid4().hex[:8]}")

    def close(self) -> None:
        """Close its connections."""
        self.session.close()
        self.redis.close()


class Notebook:
    """What a test holds."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.client = Client(settings)
        self.redis: Redis = self.client.redis
        self.keys = self.client.keys
        self.connection = psycopg.connect(settings.require_database(), autocommit=True)
        self._workers: list[Worker] = []

    def close(self) -> None:
        """Close all connections."""
        for worker in self._workers:
            worker.close()
        self.connection.close()
        self.redis.close()

    def patient_worker(self, **settings: Any) -> Worker:
        """A worker whose backoffs last longer than any test: only `end_backoffs` ends them."""
        return self.worker(**{"backoff_base_ms": 3_600_000, "backoff_cap_ms": 3_600_000, **settings})

    def worker(self, name: str = "w1", **settings: Any) -> Worker:
        """A worker, with settings of its own if need be."""
        self._workers.append(Worker(self.settings.model_copy(update=settings), name))
        return self._workers[-1]

    def enqueue(self, *jobs: Job, **options: Any) -> list[Handle]:
        """Enqueue jobs one by one."""
        return [self.client.enqueue(job, **{"actor": ACTOR, **options}) for job in jobs]

    def put(self, lane: str, raw: bytes) -> None:
        """Bytes, put into a lane by hand, as a well-meaning operator would."""
        self.redis.rpush(self.keys.lane(lane), raw)
        self.redis.zadd(self.keys.named("ready"), {lane: 1})

    def drain_all(self, worker: Worker | None = None) -> Counter[str]:
        """Drain until no lane is ready, parked or claimed; how many jobs came to which end."""
        worker = worker or self.worker()
        counts: Counter[str] = Counter()

        def quiet() -> bool:
            counts.update(worker.drain())
            return not self.redis.exists(self.keys.named("ready"), self.keys.named("claimed"))

        eventually(quiet, "every lane is empty or held")
        return counts

    def script(self, name: str, *args: Any, **of: str) -> Any:
        """Call a script."""
        return run(self.redis, self.keys, name, *args, **of)

    def end_leases(self) -> None:
        """The time of every lease is over, as if it had passed."""
        self._rewind("claimed")

    def end_backoffs(self) -> None:
        """The time of every backoff is over, as if it had passed."""
        self._rewind("ready")

    def _rewind(self, zset: str) -> None:
        key = self.keys.named(zset)
        for number, lane in enumerate(self.redis.zrange(key, 0, -1)):
            self.redis.zadd(key, {lane: number + 1}, xx=True)

    def lines(self, page: str) -> list[str]:
        """The texts of a page, in the order in which they were written."""
        return [row[0] for row in self.connection.execute("SELECT text FROM lines WHERE page = %s ORDER BY n", [page])]

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        return self.connection.cursor(row_factory=dict_row).execute(query, parameters).fetchall()

    def ended(self, job_id: str) -> dict[str, Any]:
        """The ledger's row of a job."""
        (row,) = self.rows("SELECT * FROM onelane.ledger WHERE job_id = %s", job_id)
        return row

    def ends(self) -> list[tuple[str, str]]:
        """Status and code of each ended job, in the order of their numbers."""
        return [
            (r["status"], r["code"]) for r in self.rows("SELECT status, code FROM onelane.ledger ORDER BY seq, job_id")
        ]

    def make_faulty(self, text: str, sqlstate: str, times: int = 1_000_000) -> None:
        """Statements that write this text fail, the first `times` times."""
        make_faulty(self.connection, text, sqlstate, times)

    def mend(self, text: str) -> None:
        """The text is faulty no more."""
        mend(self.connection, text)

    def tries_of(self, text: str) -> int:
        """How often a faulty text was tried."""
        return tries_of(self.connection, text)

    def head_memory(self, lane: str) -> tuple[int, int]:
        """Failed attempts and crashes of a lane's head."""
        attempts: Any = self.redis.hget(self.keys.named("attempts"), lane)
        crashes: Any = self.redis.hget(self.keys.named("crashes"), lane)
        return int((attempts or b"0").split()[0]), int(crashes or 0)

    def left_in_redis(self) -> set[str]:
        """The keys that no empty lane may leave behind, and outcomes that don't end by themselves."""
        root = self.keys.named("")
        names = {key.decode().removeprefix(root) for key in self.redis.keys(f"{root}*")}
        endless = {n for n in names if n.startswith("outcome:") and self.redis.pttl(root + n) < 0}
        return endless | {n for n in names if n in OF_LANES or n.startswith("lane:")}

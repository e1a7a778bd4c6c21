"""The sentinel: sees incidents that no drain can notice, sees when one is over, and has alerts brought to people.

Each worker's main process has one, in a thread of its own, so whatever hangs here harms no job. A round is one script,
one round trip. One sentinel at a time is on guard (the key `guard`, which ends soon after its holder): it alone looks
at PostgreSQL and has alerts sent. The others only say that they live, and look after their own host's spool.
"""

import logging
import socket
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import psycopg
from redis import Redis
from redis.exceptions import RedisError

from worker.alerts import ALERTS_LIMIT, Alerts
from worker.background import Background
from worker.database import connect, unreachable
from worker.errors import SpoolUnusable
from worker.lane import Keys
from worker.migrate import verify
from worker.probe import Late, Probe, answer_of
from worker.query import query
from worker.recipient import bot, people
from worker.redis_client import redis_client
from worker.redis_outage import RedisOutage
from worker.script import run
from worker.session import INCIDENT as POSTGRESQL_OUTAGE
from worker.settings import Settings
from worker.spool import Spool
from worker.verdict import Fault, judge

ROUND_SECONDS = 10.0
RECHECK_SECONDS = 2.0
GUARD_SECONDS = 35.0
"""So long is a worker counted as alive, and a guard respected, after the last round."""
STAY_OVER_SECONDS = 60.0
DATABASE_SECONDS = 5.0
VERIFY_SECONDS = 300.0
VERIFY_AGAIN_SECONDS = 60.0
NEWEST = 100
STOP_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class View:
    """What one round sees in Redis."""

    on_guard: bool
    held: int
    oldest_lane: str
    oldest_seconds: float
    newest_alert: str
    open: frozenset[str]
    """Incidents that have begun and don't seem over."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one incident: what is wrong, empty if nothing is; what to say when it is over; the command that shows more."""

    incident: str
    wrong: str
    over: str
    command: str


class Sentinel:
    """Looks, and has alerts brought, until it is stopped; `worker` is the Celery worker that it lives in."""

    def __init__(self, settings: Settings, worker: str = "", *, stay_over_seconds: float = STAY_OVER_SECONDS) -> None:
        self._settings = settings
        self._stay_over_seconds = stay_over_seconds
        self._keys = Keys(settings.prefix)
        self._redis: Redis = redis_client(settings)
        self._alerts = Alerts(self._redis, self._keys)
        told = people(settings, self._redis, self._keys)
        self._recipients = [bot(settings, self._redis, self._keys), *told]
        self._redis_outage = RedisOutage(settings, told, stay_over_seconds)
        self._host = socket.gethostname()
        self._name = f"{worker or self._host}/{uuid.uuid4().hex[:8]}"
        self._connection: psycopg.Connection | None = None
        self._database = Probe("onelane-sentinel-database", self._newest_dead_letters)
        self._data = Probe("onelane-sentinel-data", self._broken_rules)
        self._open: frozenset[str] = frozenset()
        self._verifying: Future[list[str]] | None = None
        self._next_verify = 0.0
        self._background = Background("onelane-sentinel", self._turn, self.leave)

    def start(self) -> None:
        """Begin."""
        self._background.start()

    def stop(self) -> None:
        """End after the round it is in; never wait for a service that hangs."""
        self._background.stop(STOP_SECONDS)

    def _turn(self) -> float:
        return ROUND_SECONDS if self.round() else RECHECK_SECONDS

    def leave(self) -> None:
        """Be counted no longer, and close the connections."""
        self._redis_outage.forget()
        try:
            run(self._redis, self._keys, "leave_guard", self._name)
        except RedisError as error:
            log.debug("The sentinel left without a word: %s", error)
        self._redis.close()
        self._disconnect()

    def round(self) -> bool:
        """Look, and have brought what is new; whether Redis has answered."""
        try:
            view = self._look()
            self._redis_outage.is_over()
            judgements = [self._spool()]
            if view.on_guard:
                judgements += [*self._lanes(view), *self._dead_letters(view), *self._consistency(view)]
            if self._judge(view, judgements):
                view = self._look()
            for recipient in self._recipients if view.on_guard else ():
                recipient.bring(view.newest_alert)
        except RedisError as error:
            self._redis_outage.goes_on(error)
            return False
        return True

    def _look(self) -> View:
        times = (int(GUARD_SECONDS * 1_000_000), int(GUARD_SECONDS * 1000), int(self._stay_over_seconds * 1_000_000))
        args = (self._name, *times, ALERTS_LIMIT)
        on_guard, held, lane, age, newest, is_open, _ = run(self._redis, self._keys, "stand_guard", *args)
        incidents = frozenset(name.decode() for name in is_open)
        return View(bool(on_guard), held, lane.decode(), int(age) / 1_000_000, newest.decode(), incidents)

    def _judge(self, view: View, judgements: Iterable[Judgement]) -> bool:
        """Begin what is wrong and not known, end what is known and no longer wrong; whether there was any."""
        changed = False
        for judgement in judgements:
            known = judgement.incident in view.open
            if judgement.wrong and not known:
                self._alerts.begin(judgement.incident, judgement.wrong, judgement.command)
            elif known and not judgement.wrong:
                self._alerts.end(judgement.incident, judgement.over)
            changed = changed or known != bool(judgement.wrong)
        return changed

    def _spool(self) -> Judgement:
        try:
            size = Spool(self._settings.data_dir).size()
            wrong = f"{size:,} bytes of jobs wait in the spool of {self._host}: Redis was away for it." if size else ""
        except SpoolUnusable as error:
            wrong = str(error)
        return Judgement(f"spool:{self._host}", wrong, "The spool is empty again.", "onelane spool status")

    def _lanes(self, view: View) -> Iterator[Judgement]:
        late = view.oldest_seconds > self._settings.oldest_seconds
        wrong = f"A ready lane waits for {view.oldest_seconds:.0f} s: {view.oldest_lane}." if late else ""
        yield Judgement("oldest", wrong, "No ready lane waits for long any more.", "onelane lanes")
        held = f"{view.held:,} {'lane is' if view.held == 1 else 'lanes are'} held." if view.held else ""
        yield Judgement("held", held, "No lane is held any more.", "onelane lanes")

    def _dead_letters(self, view: View) -> Iterator[Judgement]:
        """Of PostgreSQL too: whether it answers, and a dead letter that no drain lived to tell of."""
        if not self._settings.database_url:
            return
        over = "PostgreSQL can be used again; waiting jobs go on by themselves."
        try:
            self._open = view.open
            newest, looping = answer_of(self._database.ask(), DATABASE_SECONDS)
        except Late:
            wrong = f"PostgreSQL gives no answer within {DATABASE_SECONDS:g} s."
            yield Judgement(POSTGRESQL_OUTAGE, wrong, over, "onelane health")
        except psycopg.Error as error:
            if judge(error).fault is Fault.OUTAGE:
                yield Judgement(POSTGRESQL_OUTAGE, unreachable(self._settings, error), over, "onelane health")
        else:
            yield Judgement(POSTGRESQL_OUTAGE, "", over, "onelane health")
            yield Judgement("dead", newest, "No dead letter waits any more.", "onelane dead list")
            over = "No dead letter of a crash loop waits any more."
            yield Judgement("crash_loop", looping, over, "onelane dead list --code crash_loop")

    def _newest_dead_letters(self) -> tuple[str, str]:
        """A sentence about the newest dead letter that is no crash loop's, and about the newest that is; else empty.

        To see that one has come, the newest are enough; to see that none is left, all are looked through.
        """
        try:
            if self._connection is None:
                self._connection = connect(self._settings, name="onelane-sentinel")
            newest, looping = (
                self._connection.execute(
                    query("dead_letter"),
                    {"looping": incident == "crash_loop", "depth": None if incident in self._open else NEWEST},
                ).fetchone()
                for incident in ("dead", "crash_loop")
            )
        except BaseException:
            self._disconnect()
            raise
        return _sentence(newest), _sentence(looping)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _consistency(self, view: View) -> Iterator[Judgement]:
        """Whether the data's rules hold; the answer of an earlier round, if it has come meanwhile."""
        now = time.monotonic()
        if self._verifying is None and now >= self._next_verify and self._settings.database_url:
            self._verifying = self._data.ask()
        if self._verifying is None or not self._verifying.done():
            return
        self._next_verify = now + (VERIFY_AGAIN_SECONDS if "consistency" in view.open else VERIFY_SECONDS)
        verified, self._verifying = self._verifying, None
        if verified.exception() is None:
            found = verified.result()
            wrong = f"{len(found)} of the data's rules are broken: {found[0]}" if found else ""
            yield Judgement("consistency", wrong, "All rules of the data hold again.", "onelane migrate verify")

    def _broken_rules(self) -> list[str]:
        return verify(self._settings.require_database(), self._settings.task_modules)


def _sentence(dead_letter: Sequence[Any] | None) -> str:
    return "{1} {0} is a dead letter ({2}): {3}".format(*dead_letter) if dead_letter is not None else ""

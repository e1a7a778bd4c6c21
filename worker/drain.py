"""The drain: claim ready lanes, apply their jobs, acknowledge, until nothing is ready or the time slice ends.

A claim's jobs are applied together (batch.py), and one call acknowledges them and makes the next claim; if that fails,
they are applied lane by lane (isolation.py). An outage is nobody's fault: the lanes are given back as they were, and
the drain waits for the server. Monitors are told of a batch while PostgreSQL is at work on the next one.

What a crash leaves, point by point: a claim without a batch ends with its lease and counts as a crash of the heads,
which are then claimed alone; after `max_deliveries` of them a head is a dead letter. A committed batch without its
acknowledgement is recognized by the ledger. A drain that vanishes while it lingers is missed for a second. Of the last
batch monitors may never hear.
"""

import logging
import random
import time
from collections import Counter, defaultdict
from typing import Any

from pydantic_core import from_json
from redis import Redis
from redis.exceptions import RedisError

from worker.acknowledge import Park, Settled, acknowledge
from worker.alerts import Alerts
from worker.batch import Batch, apply
from worker.claim import Claim, ClaimedLane, Claimer, Nothing
from worker.entry import End, Entry, cancelled, dead
from worker.events import Events
from worker.isolation import Ends, Isolation, ServerFault, stops_lane
from worker.lane import Keys
from worker.relay import Relay
from worker.rest import take_resting
from worker.retry import while_redis_is_away
from worker.script import run
from worker.session import Outage, Session
from worker.settings import Settings
from worker.tally import count, retried
from worker.verdict import Failure, Fault, judge

log = logging.getLogger(__name__)


class Drain:
    """One drain of one worker: made by the Celery task, gone with it. The session outlives it."""

    def __init__(
        self,
        settings: Settings,
        redis: Redis,
        session: Session,
        alerts: Alerts,
        events: Events,
        worker: str,
        name: str,
    ) -> None:
        self._settings, self._redis, self._session, self._alerts = settings, redis, session, alerts
        self._events, self._worker = events, worker
        self._keys = Keys(settings.prefix)
        self._claimer = Claimer(redis, self._keys, settings, name)
        self._relay = Relay(redis, self._keys, settings)
        # Drains that began together don't end together: then for some ms nobody would wait for a job.
        self._deadline = time.monotonic() + settings.slice_ms / 1000 * random.uniform(0.7, 1.0)  # noqa: S311 - no secret
        self._resting: dict[str, Park | None] = {}
        self._next: Claim | Nothing | None = None
        self._untold: tuple[Ends, float, float] | None = None
        self.counts: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        """Drain until nothing is ready for a while, or the time slice ends; how many jobs came to which end.

        Each drain makes a claim, however long the connection and the outbox took.

        Raises redis.RedisError; what was claimed and not begun is given back, the rest comes back with its lease.
        """
        linger_until = wait_seconds = 0.0
        try:
            self._deliver_outbox()
            self._next = self._claimer.claim()
            while self._next is not None or time.monotonic() < self._deadline:
                claim, self._next = self._next or self._claimer.claim(wait_seconds), None
                if isinstance(claim, Claim):
                    self._work(claim)
                    linger_until = wait_seconds = 0.0
                    continue
                self._tell_monitors()
                now = time.monotonic()
                linger_until = linger_until or min(now + self._settings.linger_ms / 1000, self._deadline)
                if now >= linger_until:
                    break
                wait_seconds = min(claim.wait_seconds, linger_until - now)
        except Outage:
            pass
        except RedisError:
            if isinstance(self._next, Claim):
                self._give_back(self._next)
            raise
        finally:
            self._tell_monitors()
        if self._session.is_away:
            self.counts["outage"] += 1
        self._claimer.leave()
        return self.counts

    def _deliver_outbox(self) -> None:
        """Deliver what can be; what can't now is tried again by the next drain (worker/watch.py), and no lane waits.

        Raises Outage, redis.RedisError.
        """
        connection = self._session.connection(self._deadline)
        try:
            self._relay.deliver(connection)
        except RedisError:
            raise
        except Exception as error:  # noqa: BLE001 - judged in the next line
            if judge(error).fault is Fault.OUTAGE:
                self._session.lost(error)
            else:
                log.warning("The outbox waits (%s: %s).", type(error).__name__, error)
        else:
            self._session.works()

    def _work(self, claim: Claim) -> None:
        lanes = {lane.name: self._entries(claim, lane) for lane in claim.lanes}
        now = time.time_ns() // 1000
        self._resting = {name: take_resting(each, now) for name, each in lanes.items()}
        entries = [entry for each in lanes.values() for entry in each]
        began = time.monotonic()
        try:
            if any(stops_lane(entry, entry.end) for entry in entries):
                self._lane_by_lane(claim, lanes)
                return
            connection = self._session.connection(self._deadline)
            batch = apply(connection, claim.token, self._worker, lanes, self._tell_monitors)
        except Outage:
            self._give_back(claim)
            raise
        except Exception as error:  # noqa: BLE001 - judged in the next line
            if judge(error).fault is Fault.OUTAGE:
                self._session.lost(error)
                self._give_back(claim)
                return
            log.info("A batch of %d jobs failed (%s); applying them lane by lane.", len(entries), type(error).__name__)
            self._lane_by_lane(claim, lanes, error if len(claim.lanes) == 1 else None)
            return
        self._session.works()
        self._settle_batch(claim, batch, time.monotonic() - began)

    def _settle_batch(self, claim: Claim, batch: Batch, seconds: float) -> None:
        settled = [Settled(lane, pairs) for lane, pairs in batch.ends.items()]
        settled += [Settled(lane.name, then=Park(0)) for lane in claim.lanes if lane.name not in batch.ends]
        self._acknowledge(claim, settled, seconds, batch.newest_token, and_claim=time.monotonic() < self._deadline)
        if batch.outbox:
            self._deliver_outbox()

    def _lane_by_lane(self, claim: Claim, lanes: dict[str, list[Entry]], error: Exception | None = None) -> None:
        """Apply each lane in batches of its own; `error` is what the only one has just failed with."""
        self._tell_monitors()
        connection = self._session.connection(self._deadline)
        isolation = Isolation(connection, claim.token, self._worker, self._settings, self._hold, self._retried)
        for number, lane in enumerate(claim.lanes):
            began = time.monotonic()
            try:
                settled = isolation.apply_lane(lane, lanes[lane.name], error)
            except ServerFault as fault:
                self._session.lost(fault.error)
                rest = [Settled(other.name, then=Park(0)) for other in claim.lanes[number + 1 :]]
                self._acknowledge(claim, [fault.settled, *rest], time.monotonic() - began)
                return
            self._session.works()
            self._acknowledge(claim, [settled], time.monotonic() - began)
        self._deliver_outbox()

    def _give_back(self, claim: Claim) -> None:
        self._acknowledge(claim, [Settled(lane.name, then=Park(0)) for lane in claim.lanes], 0)

    def _acknowledge(
        self, claim: Claim, lanes: list[Settled], seconds: float, clock_floor: int = 0, *, and_claim: bool = False
    ) -> None:
        """Take what ended off the lanes, and in the same breath make the next claim. While Redis is away this worker's
        word is still the fastest way back: it is repeated until the lease is over anyway.
        """
        for settled in lanes:
            settled.then = settled.then or self._resting.get(settled.lane)
        patience = while_redis_is_away(self._settings.lease_ms / 1000)
        next_claim = self._claimer.next() if and_claim else None
        more: dict[str, Any] = {"seconds": seconds, "clock_floor": clock_floor, "next_claim": next_claim}
        answer = patience(acknowledge, self._redis, self._keys, self._settings, claim.token, lanes, **more)
        if and_claim:
            self._next = self._claimer.read(answer)
        pairs = [pair for settled in lanes for pair in settled.ends if not pair[1].repeated]
        self.counts.update(end.status for _, end in pairs)
        self._tell_monitors()
        self._untold = (pairs, seconds, time.time())
        self._tell_of_dead_letters(pairs)

    def _tell_monitors(self) -> None:
        """Send the events of the last batch: while PostgreSQL is at work on the next one, or there is nothing to do."""
        if self._untold is not None:
            untold, self._untold = self._untold, None
            self._events.ended(*untold)

    def _tell_of_dead_letters(self, pairs: list[tuple[Entry, End]]) -> None:
        """One call for each incident, however many there are."""
        incidents = defaultdict(list)
        for entry, end in pairs:
            if end.status == "dead":
                why = end.failure.message if end.failure is not None else end.message
                told = f"{entry.envelope.kind} {entry.envelope.id} is a dead letter ({end.code}): {why}"
                incidents["crash_loop" if end.code == "crash_loop" else "dead"].append(told)
        for incident, sentences in incidents.items():
            self._alerts.begin(incident, sentences[0], "onelane dead list", count=len(sentences))

    def _hold(self, lane: str, note: str) -> None:
        run(self._redis, self._keys, "hold", lane, 0, note, lane=lane)
        self._alerts.begin("held", f"The lane {lane} is held: {from_json(note)['why']}", "onelane lanes")

    def _retried(self, entry: Entry, failure: Failure, traceback: str) -> None:
        self._tell_monitors()
        self.counts["retried"] += 1
        count(self._redis, self._keys, retried(entry, failure))
        self._events.retried(entry, failure, traceback)

    def _entries(self, claim: Claim, lane: ClaimedLane) -> list[Entry]:
        """The jobs of a lane as entries: what is remembered of the head, and what operators have cancelled."""
        now = time.time_ns() // 1000
        entries = [Entry.read(lane.name, raw, 1, now) for raw in lane.jobs[1:]]
        if lane.jobs:
            head = Entry.read(lane.name, lane.jobs[0], lane.attempts + 1, lane.first_attempt or now)
            if lane.crashes >= self._settings.max_deliveries:
                found = Failure(
                    Fault.PERMANENT, "CrashLoop", None, f"{lane.crashes} workers died or hung under this job"
                )
                head = head.ended(dead("crash_loop", found))
            entries.insert(0, head)
        return [self._unless_cancelled(entry) for entry in entries] if claim.cancellations else entries

    def _unless_cancelled(self, entry: Entry) -> Entry:
        note: Any = self._redis.hget(self._keys.named("cancelled"), entry.envelope.id)
        return entry if note is None else entry.ended(cancelled(note))

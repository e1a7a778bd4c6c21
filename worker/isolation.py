"""Isolation: when a batch fails, it is applied lane by lane, and by halves where a lane fails, down to the one job that
is judged. So one bad job among thousands costs a few batches more, and no other job an attempt.

A lane stops at a job that must be tried again: the job stays at the head, its successors behind it. A job that has no
attempt left, or never will work, becomes a dead letter; then the lane goes on, or is held if the job's kind says so.
The hold is set before the dead letter is recorded: whatever is killed between, the lane does not go on after it.
"""

import json
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TypeAlias

from psycopg import Connection

from worker.acknowledge import Park, Settled
from worker.batch import apply
from worker.claim import ClaimedLane
from worker.entry import End, Entry, dead
from worker.head import HeadMemory
from worker.job import KINDS
from worker.retry import backoff_ms
from worker.settings import Settings
from worker.verdict import Failure, Fault, MustWait, NotKnownYet, judge

TRACEBACK_CHARACTERS = 8000

Ends: TypeAlias = list[tuple[Entry, End]]
"""Jobs of one lane with their ends, in order."""

log = logging.getLogger(__name__)


class ServerFault(Exception):
    """The server failed, not the job, with this error; `settled` is how far the lane had come."""

    def __init__(self, settled: Settled, error: Exception) -> None:
        super().__init__("the server failed")
        self.settled, self.error = settled, error


class Isolation:
    """Applies the lanes of one claim one by one. `hold` stops a lane, with a note."""

    def __init__(
        self,
        connection: Connection,
        token: int,
        worker: str,
        settings: Settings,
        hold: Callable[[str, str], object],
        retried: Callable[[Entry, Failure, str], object],
    ) -> None:
        self._connection, self._token, self._worker, self._settings = connection, token, worker, settings
        self._hold, self._retried = hold, retried

    def apply_lane(self, lane: ClaimedLane, entries: Sequence[Entry], failed: Exception | None = None) -> Settled:
        """Apply a lane's jobs in order, up to the first that must be tried again or ends with a hold. What has just
        `failed` with all of them is not tried again at once.

        Raises ServerFault, with what was settled before it.
        """
        settled = Settled(lane.name)
        try:
            self._apply(settled, entries, failed)
        except Exception as error:
            if judge(error).fault is not Fault.OUTAGE:
                raise
            settled.then = Park(0)
            raise ServerFault(settled, error) from error
        return settled

    def _apply(self, settled: Settled, entries: Sequence[Entry], failed: Exception | None = None) -> bool:
        """Apply these jobs, by halves if they fail together; whether the lane may go on behind them."""
        if len(entries) > 1:
            if failed is None and not any(stops_lane(entry, entry.end) for entry in entries):
                try:
                    return self._take(settled, self._commit(settled.lane, entries))
                except Exception as error:  # noqa: BLE001 - judged in the next line
                    failed = error
            if failed is None or judge(failed).fault not in {Fault.OUTAGE, Fault.BUSY}:
                middle = len(entries) // 2
                return self._apply(settled, entries[:middle]) and self._apply(settled, entries[middle:])
        done, settled.then = self._apply_one(settled.lane, entries[0], failed)
        return self._take(settled, done) and not stops_lane(*settled.ends[-1])

    @staticmethod
    def _take(settled: Settled, done: Ends | None) -> bool:
        settled.ends += done or []
        return done is not None

    def _apply_one(self, lane: str, entry: Entry, failed: Exception | None) -> tuple[Ends | None, Park | None]:
        """The entry and its end, or None and how the lane is parked (None: it is no longer ours)."""
        if entry.end is None:
            if failed is None:
                try:
                    return self._commit(lane, [entry]), None
                except Exception as error:  # noqa: BLE001 - judged in the next line
                    failed = error
            decision = self._decide(entry, failed)
            if isinstance(decision, Park):
                return None, decision
            entry = entry.ended(decision)
        if entry.end is not None and stops_lane(entry, entry.end):
            reason = f"dead letter {entry.envelope.id} ({entry.envelope.kind}): {entry.end.code}"
            self._hold(lane, json.dumps({"by": self._worker, "why": reason, "at": time.time()}))
        try:
            return self._commit(lane, [entry]), None
        except Exception as error:  # noqa: BLE001 - an end that can't be recorded is none: it is tried for ever
            return None, self._again(entry, error)

    def _commit(self, lane: str, entries: Sequence[Entry]) -> Ends | None:
        return apply(self._connection, self._token, self._worker, {lane: entries}).ends.get(lane)

    def _decide(self, entry: Entry, error: Exception) -> Park | End:
        """Try again later, or how the job ends. Raises the error itself when it is the server's."""
        failure = judge(error)
        if failure.fault in {Fault.OUTAGE, Fault.BUSY} or entry.attempts < self._attempts_allowed(entry, failure.fault):
            return self._again(entry, error)
        where = _traceback(error)
        if isinstance(error, MustWait):
            return End("rejected", error.code, error.message)
        if isinstance(error, NotKnownYet):
            return dead("unknown_kind", failure, where)
        return dead("permanent" if failure.fault is Fault.PERMANENT else "exhausted", failure, where)

    def _again(self, entry: Entry, error: Exception) -> Park:
        """How long the lane waits, and what its head's memory becomes. Raises the error itself when it is the server's.

        A lane that is only busy has no attempt less, yet is remembered, so that it is claimed alone and makes no
        other lane wait.
        """
        failure = judge(error)
        if failure.fault is Fault.OUTAGE:
            raise error
        if failure.fault is Fault.BUSY:
            log.warning("The lane %s is busy; it waits.", entry.envelope.lane)
            memory = HeadMemory(entry.attempts - 1, entry.first_attempt, failure.sentence)
            return Park(self._settings.lock_timeout_ms, str(memory))
        self._retried(entry, failure, _traceback(error))
        log.warning("%s %s failed (%s); trying again.", entry.envelope.kind, entry.envelope.id, failure.error_class)
        memory = HeadMemory(entry.attempts, entry.first_attempt, failure.sentence)
        return Park(backoff_ms(entry.attempts, self._settings), str(memory))

    def _attempts_allowed(self, entry: Entry, fault: Fault) -> int:
        if fault is Fault.PERMANENT:
            return 0
        if fault is Fault.ORDER:
            return self._settings.order_attempts
        own = entry.job.max_attempts if entry.job is not None else None
        return own or self._settings.max_attempts


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]


def stops_lane(entry: Entry, end: End | None) -> bool:
    """Whether the lane is held behind a job that has come to this end."""
    kind = KINDS.get(entry.envelope.kind)
    return end is not None and end.status == "dead" and kind is not None and kind.after_dead == "hold"

"""The judgement of an error: whose fault it is, and what follows for the job.

    outage     the server's fault: nobody's attempt, wait until it is back
    busy       another worker's transaction is in the lane, perhaps paused: nobody's attempt, try again soon
    transient  bad luck: try again, up to `max_attempts`
    order      what the job needs may still come on another lane: try again, up to `order_attempts`
    permanent  it will never work: a dead letter at once

An unknown error is judged as transient: it gets its attempts, and then a person sees it.
"""

from dataclasses import dataclass
from enum import Enum

import psycopg
import redis

OUTAGE_CLASSES = ("08", "28", "3D", "53", "58")
OUTAGE_STATES = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25006"})
TRANSIENT_STATES = frozenset({"40001", "40P01", "55P03", "57014", "25P03", "25P04"})
ORDER_STATES = frozenset({"23503"})
PERMANENT_CLASSES = ("22", "23", "42", "0A", "21", "3F")


class Fault(Enum):
    """Whose fault an error is."""

    OUTAGE = "outage"
    BUSY = "busy"
    TRANSIENT = "transient"
    ORDER = "order"
    PERMANENT = "permanent"


class MustWait(Exception):
    """A statement answered `wait`: what the job needs may still come on another lane."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotKnownYet(Exception):
    """This worker doesn't know the job's kind."""


class LaneBusy(Exception):
    """Another worker's transaction holds the fence of a lane for longer than `lock_timeout`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the ledger and Flower show it."""

    fault: Fault
    error_class: str
    sqlstate: str | None
    message: str
    constraint: str | None = None

    @property
    def sentence(self) -> str:
        """What failed and why, for people."""
        sqlstate = f" (SQLSTATE {self.sqlstate})" if self.sqlstate else ""
        return f"{self.error_class}{sqlstate}: {self.message}"


def judge(error: BaseException) -> Failure:
    """Whose fault this error is."""
    sqlstate = getattr(error, "sqlstate", None)
    message = str(error).strip() or type(error).__name__
    constraint = error.diag.constraint_name if isinstance(error, psycopg.Error) else None
    return Failure(_fault(error, sqlstate), type(error).__name__, sqlstate, message, constraint)


def _fault(error: BaseException, sqlstate: str | None) -> Fault:
    if isinstance(error, redis.RedisError):
        return Fault.OUTAGE
    if isinstance(error, LaneBusy):
        return Fault.BUSY
    if isinstance(error, MustWait | NotKnownYet):
        return Fault.ORDER
    if isinstance(error, psycopg.Error):
        return _fault_of_sqlstate(error, sqlstate)
    return Fault.TRANSIENT


def _fault_of_sqlstate(error: psycopg.Error, sqlstate: str | None) -> Fault:
    if sqlstate is None:
        gone = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return Fault.OUTAGE if gone else Fault.PERMANENT
    if sqlstate in TRANSIENT_STATES:
        return Fault.TRANSIENT
    if sqlstate in ORDER_STATES:
        return Fault.ORDER
    if sqlstate in OUTAGE_STATES or sqlstate.startswith(OUTAGE_CLASSES):
        return Fault.OUTAGE
    return Fault.PERMANENT if sqlstate.startswith(PERMANENT_CLASSES) else Fault.TRANSIENT

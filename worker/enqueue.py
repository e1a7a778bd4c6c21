"""Enqueue: the first step of a job's way. Validated jobs go onto the tails of their lanes in one script call.

When the script has answered, the job is safe: it is in Redis, and whatever is killed from then on, it ends in the
ledger. The script is idempotent by job id, so a caller that got no answer simply asks again. It also says whether a
worker must be called; the bell is only a hint, and losing it costs a second (worker/watch.py).
"""

import re
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import uuid_utils
from redis import Redis

from worker.envelope import encode
from worker.errors import IdReused, InvalidJob, JobTooLarge, LaneFull, Refused, WrongLane
from worker.job import Job
from worker.lane import Keys, check_lane
from worker.script import run
from worker.settings import Settings

CHUNK = 500
"""Jobs that one script call queues; Redis serves nobody else meanwhile, a few ms."""

REASON = re.compile(r"[^\x00]{0,2000}")
ACTOR = re.compile(r"[^\x00-\x20\x7f]{1,50}")
URL = re.compile(r"[\x21-\x7e]{1,500}")
IP = re.compile(r"[0-9a-f.:]+")
JOB_ID = re.compile(r"[A-Za-z0-9_.:@/+=~-]{1,200}")


class Order(NamedTuple):
    """A validated job, ready to be queued: what enqueue.lua takes of it, in that order."""

    id: str
    lane: str
    digest: str
    body: bytes


def order(
    job: Job,
    settings: Settings,
    *,
    actor: str,
    job_id: str | None = None,
    reason: str | None = None,
    lane: str | None = None,
    reply_to: str | None = None,
) -> Order:
    """Make an order of a job. `lane` is only checked. Raises Refused, naming the field and what was expected."""
    if not isinstance(job, Job):
        raise InvalidJob(f"job: expected an instance of a job kind, got {type(job).__name__}")
    if not _is(ACTOR, actor):
        raise InvalidJob("actor: expected 1 to 50 characters without blanks: who asks for this?")
    if reason is not None and not _is(REASON, reason):
        got = f"{len(reason)} characters" if isinstance(reason, str) else type(reason).__name__
        raise InvalidJob(f"reason: expected at most 2000 characters and no NUL, got {got}")
    if job_id is None:
        job_id = str(uuid_utils.uuid7())
    elif not _is(JOB_ID, job_id):
        raise InvalidJob(f"id: expected 1 to 200 letters, digits or any of _.:@/+=~- , got {job_id!r}")
    if reply_to is not None and not _takes_replies(reply_to):
        raise InvalidJob("reply_to: expected an https:// URL of at most 500 characters (http:// on this machine only)")
    own_lane = check_lane(job.lane())
    if lane is not None and lane != own_lane:
        raise WrongLane(f"lane: a {job.kind} with this payload belongs on {own_lane!r}, not on {lane!r}")
    at = time.time_ns() // 1000
    digest, body = encode(job, lane=own_lane, job_id=job_id, actor=actor, reason=reason, at=at, reply_to=reply_to)
    if len(body) > settings.payload_limit:
        raise JobTooLarge(f"payload: the job takes {len(body)} bytes, the limit is {settings.payload_limit}")
    return Order(job_id, own_lane, digest, body)


def _is(pattern: re.Pattern[str], text: Any) -> bool:
    """Whether it is a text of this form: what a bot hands over nobody has checked."""
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def _takes_replies(url: str) -> bool:
    """Whether a reply may be sent there: encrypted, or not over a network at all."""
    if not _is(URL, url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        is_here = host == "localhost" or (bool(IP.fullmatch(host)) and ip_address(host).is_loopback)
    except ValueError:
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_here)
    return bool(safe and host and parts.username is None)


def enqueue(redis: Redis, keys: Keys, settings: Settings, orders: Sequence[Order]) -> tuple[bool, list[str]]:
    """Queue orders: whether the bell must be rung, and enqueue.lua's word for each order. Raises redis.RedisError."""
    ring, words = False, []
    for start in range(0, len(orders), CHUNK):
        args: list[str | int | bytes] = [settings.lane_limit, settings.total_limit]
        for each in orders[start : start + CHUNK]:
            args += each
        called, *answers = run(redis, keys, "enqueue", *args)
        ring = ring or called == 1
        words += [word.decode() for word in answers]
    return ring, words


def refusal(word: str, order: Order, settings: Settings) -> Refused | None:
    """The error for a word that means no; None for the others."""
    match word:
        case "reused":
            return IdReused(f"id: {order.id!r} was already given to a job with another payload; use a new id")
        case "lane_full":
            return LaneFull(f"lane: {order.lane!r} is full ({settings.lane_limit} jobs wait in it); try again later")
        case "full":
            return LaneFull(f"lane: all lanes together are full ({settings.total_limit} jobs wait); try again later")
        case _:
            return None

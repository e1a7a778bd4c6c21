"""Replies: what became of a job, posted to the URL that Slack gave with the question (`response_url`).

The end of a job with a `reply_to` leaves a reply in the outbox, in the transaction that records the end: there is no
end without its reply, and no reply to what was rolled back. The relay puts it onto a lane, in a partition of its own
with the same scripts as the jobs': a lane for each URL, so answers keep their order, one that is not taken backs off
alone, and whatever is killed, another worker goes on.

A URL knows no fence, so here "once" has a limit: of a worker that is killed between its post and the acknowledgement
nobody can say whether Slack has taken it. The claim is the note that it was at it, durable before the post; its lease
that ends counts as a crash of the head. Then the reply is posted again, for a doubled answer is better than none; it
says so itself, and after `MOST_POSTERS` such ends it is given up: Slack takes five posts at a URL. While only Redis is
away the poster lives, and repeats its acknowledgement for as long as the claim is sure to be its own.

Each worker's main process has a replier, in threads of its own, so a URL that hangs delays no job. While there is
nothing to post it lingers in Redis as a drain does: it is woken at once, and costs next to nothing.

Whoever knows such a URL can write to that person for half an hour, so it stands in no log, event, or key.
"""

import logging
import socket
import threading
import time
import uuid
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass
from pydantic_core import to_json
from redis import Redis
from redis.exceptions import RedisError

from worker.background import Background
from worker.claim import Claim, ClaimedLane, Claimer, Nothing
from worker.enqueue import Order
from worker.head import HeadMemory
from worker.lane import Keys
from worker.redis_client import redis_client
from worker.retry import backoff_ms, while_redis_is_away
from worker.script import run
from worker.settings import Settings
from worker.tally import count, replied

LIFE_SECONDS = 30 * 60
"""So long does Slack take answers at a URL."""
POST_SECONDS = 3
MOST_POSTERS = 3
"""So many workers may die while they post a reply."""
AGAIN = " (If you have read this before: it is the same answer.)"
AT_ONCE = 4
"""Replies that one worker posts side by side."""
LIMITS = {
    "claim_lanes": 1,
    "claim_jobs": 1,
    "lease_ms": 15_000,
    "linger_ms": 25_000,
    "redis_timeout_ms": 60_000,
}
"""One reply a claim, and far longer to post it than that may take. Who lingers wakes up each 25 s, not each second."""
KEPT_MS = 3600 * 1000
"""How long it is remembered that a reply was posted, in case the relay delivers it again."""
BUSY_SECONDS = 0.05
REDIS_AWAY_SECONDS = 2.0

log = logging.getLogger(__name__)
silence = logging.getLogger("onelane.silence")
silence.disabled = True
"""For Slack's client, which would write the URL."""


@dataclass(frozen=True, slots=True, config=ConfigDict(strict=True))
class Reply:
    """A reply's bytes in its lane; `at` is when the job ended, µs."""

    id: str
    job: str
    url: Annotated[str, Field(repr=False)]
    text: str
    at: int


REPLY = TypeAdapter(Reply)


class Answer(NamedTuple):
    """What came of a post: why it was not taken, and how many seconds the receiver asks to wait."""

    result: Literal["posted", "gone", "later"]
    why: str = ""
    wait_seconds: float = 0.0


def reply_keys(settings: Settings) -> Keys:
    """The keys of the replies' own partition."""
    return Keys(f"{settings.prefix}-replies")


def reply_order(reply_id: str, job_id: str, url: str, text: str, ended_at: datetime) -> Order:
    """A reply, ready to be queued."""
    lane = blake2b(url.encode(), digest_size=12).hexdigest()
    at = round(ended_at.timestamp() * 1_000_000)
    body = to_json({"id": reply_id, "job": job_id, "url": url, "text": text, "at": at})
    return Order(reply_id, lane, "reply", body)  # an id stands for one reply, so all digests may be the same


class Replier:
    """Posts replies until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update=LIMITS)
        self._keys = reply_keys(settings)
        self._redis: Redis = redis_client(self._settings)
        name = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
        self._claimer = Claimer(self._redis, self._keys, self._settings, name, call=lambda _: None)
        self._posting: list[threading.Thread] = []
        self._background = Background("onelane-replier", self._turn, self._leave)

    def start(self) -> None:
        """Begin."""
        self._background.start()

    def stop(self) -> None:
        """End after the posts that are under way; never wait for a URL that hangs."""
        deadline = time.monotonic() + POST_SECONDS
        self._background.stop(POST_SECONDS, self._wake_all)
        for thread in self._posting:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._redis.close()

    def _wake_all(self) -> None:
        """Nobody can wake this one alone. The others find nothing, and linger again."""
        try:
            lingering: Any = self._redis.zcard(self._keys.named("lingering"))
            if lingering:
                self._redis.rpush(self._keys.named("wake"), *["stop"] * lingering)
        except RedisError as error:
            log.debug("The replier is not woken: %s", type(error).__name__)

    def _turn(self) -> float:
        try:
            return self._step()
        except RedisError as error:
            log.debug("No reply can be posted while Redis is away: %s", type(error).__name__)
            return REDIS_AWAY_SECONDS

    def _leave(self) -> None:
        try:
            self._claimer.leave()
        except RedisError as error:
            log.debug("The replier left without a word: %s", type(error).__name__)

    def _step(self) -> float:
        """Begin one more post, or wait until there may be one; how long to rest then."""
        self._some_ended()
        if len(self._posting) == AT_ONCE:
            return BUSY_SECONDS
        claim = self._claimer.claim()
        if isinstance(claim, Nothing):
            self._linger(claim.wait_seconds)
            return 0
        thread = threading.Thread(target=self._settle, args=(claim,), name="onelane-reply", daemon=True)
        self._posting.append(thread)
        thread.start()
        return 0

    def _some_ended(self) -> bool:
        """Whether a post has ended since this was asked last: its lane may have more, or waits for its backoff."""
        before = len(self._posting)
        self._posting = [thread for thread in self._posting if thread.is_alive()]
        return len(self._posting) < before

    def _linger(self, wait_seconds: float) -> None:
        until = time.monotonic() + wait_seconds
        while not self._background.is_stopped and not self._some_ended() and (left := until - time.monotonic()) > 0:
            if self._claimer.linger(min(left, BUSY_SECONDS) if self._posting else left):
                return

    def _settle(self, claim: Claim) -> None:
        """Post the reply of a claim; what Redis can't be told comes back with its lease."""
        try:
            for lane in claim.lanes:
                self._post_head(lane, claim.token)
        except RedisError as error:
            log.warning("A reply may be posted again: Redis could not be told of it (%s).", type(error).__name__)

    def _post_head(self, lane: ClaimedLane, token: int) -> None:
        now = time.time_ns() // 1000
        try:
            reply = REPLY.validate_json(lane.jobs[0])
        except ValueError:
            reply, answer = Reply("?", "?", "", "", 0), Answer("gone", "it is damaged")
        else:
            answer = self._answer(reply, lane.crashes)
        attempts = lane.attempts + 1
        delay = max(backoff_ms(attempts, self._settings) * 1000, round(answer.wait_seconds * 1_000_000))
        if answer.result == "later" and now + delay <= reply.at + LIFE_SECONDS * 1_000_000:
            log.info("A reply to job %s was not taken (%s); trying again.", reply.job, answer.why)
            memory = HeadMemory(attempts, lane.first_attempt or now, answer.why)
            self._tell("park", lane.name, token, delay, str(memory), 0)
            return
        ended = (reply.id, f"reply {answer.result}")
        if self._tell("acknowledge", lane.name, token, 1, 0, KEPT_MS, *ended) == b"lost":
            return
        result = "posted" if answer.result == "posted" else "given_up"
        count(self._redis, Keys(self._settings.prefix), replied(result))
        if answer.result != "posted":
            log.warning("The reply to job %s was given up after %d attempts: %s.", reply.job, attempts, answer.why)

    def _answer(self, reply: Reply, crashes: int) -> Answer:
        if crashes >= MOST_POSTERS:
            return Answer("gone", f"{crashes} workers died while they posted it")
        return post(replace(reply, text=reply.text + AGAIN) if crashes else reply)

    def _tell(self, script: str, lane: str, *args: str | int) -> Any:
        """Tell Redis what becomes of a claimed lane; while it is away, again and again until the lease is over."""
        patience = while_redis_is_away(self._settings.lease_ms / 1000)
        return patience(run, self._redis, self._keys, script, lane, *args, lane=lane)


def post(reply: Reply) -> Answer:
    """Post a reply, for its person's eyes only, below the message that it answers."""
    from slack_sdk.webhook import WebhookClient  # noqa: PLC0415 - heavy, and most processes never post

    try:
        client = WebhookClient(reply.url, timeout=POST_SECONDS, logger=silence, retry_handlers=[])
        response = client.send(text=reply.text, response_type="ephemeral", replace_original=False)
    except Exception as error:  # noqa: BLE001 - whatever a network raises, the next try may go well
        return Answer("later", type(error).__name__)
    status, said = response.status_code, response.body.strip()
    if 200 <= status < 300:
        return Answer("posted")
    why = f"the answer was {status}"
    if status in {404, 410} or said in {"expired_url", "used_url"}:
        return Answer("gone", why)
    return Answer("later", why, _seconds(response.headers.get("Retry-After")))


def _seconds(text: str | None) -> float:
    try:
        return min(max(0.0, float(text or 0)), LIFE_SECONDS)
    except ValueError:  # a date, which Slack never sends
        return 0.0

"""All that a person can do to lanes, at random, while workers drain them: nothing is lost, repeated or reordered."""

import random
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest
from redis import Redis

from tests.acceptance import stamps
from tests.acceptance.onelane import Onelane, until
from worker.client import Client
from worker.database import connect
from worker.intervention import Interventions
from worker.lane import Keys
from worker.lane_book import UnknownLane
from worker.settings import Settings
from worker.skip import LaneBusy, Skipper

PAGES = [f"drained-{n}" for n in range(4)]
EACH = 10
"""How often each act is done."""
PATIENCE_SECONDS = 150


@pytest.mark.timeout(PATIENCE_SECONDS + 90)
def test_acts_by_hand_while_workers_drain_lose_repeat_and_reorder_nothing(
    onelane: Onelane, settings: Settings, database: psycopg.Connection, lanes: Redis, keys: Keys
) -> None:
    seed = random.randrange(2**32)
    print(f"seed: {seed}")  # noqa: T201 - pytest shows it with a failure
    dice = random.Random(seed)
    client = Client(settings)
    by_hand = Interventions(lanes, settings, "U0ADMIN")
    place: dict[str, tuple[str, str]] = {}
    done = dict.fromkeys(("hold", "resume", "retry", "cancel", "skip"), 0)

    def lane() -> str:
        return f"page:{dice.choice(PAGES)}"

    def enqueue() -> None:
        jobs = [stamps.SlowStamp(page=page, text=f"{len(place):06}", seconds=0.01) for page in PAGES]
        for job, handle in zip(jobs, client.enqueue_many(jobs, actor="U0EXAMPLE09"), strict=True):
            place[handle.id] = (job.page, job.text)

    with connect(settings) as own:
        skipper = Skipper(lanes, own, settings, "U0ADMIN")
        acts: dict[str, Callable[[], object]] = {
            "hold": lambda: by_hand.hold(lane(), "for a while", dice.choice([None, 0.2])) or True,
            "resume": lambda: by_hand.resume(lane()),
            "retry": lambda: by_hand.retry_now(lane()) == "due",
            "cancel": lambda: by_hand.cancel(dice.choice(list(place)[-20:]), "not wanted"),
            "skip": lambda: not skipper.skip(lane(), "in the way", dice.choice([0, 1]))[1].repeated,
        }
        deadline = time.monotonic() + PATIENCE_SECONDS
        while min(done.values()) < EACH:
            assert time.monotonic() < deadline, done
            enqueue()
            act = dice.choice(list(acts))
            with suppress(UnknownLane, LaneBusy):
                done[act] += bool(acts[act]())
    for page in PAGES:
        by_hand.resume(f"page:{page}")
    assert onelane("lanes", "--wait-empty", "60").code == 0
    until(lambda: lanes.hlen(keys.named("pending")) == 0, "the end")

    sql = "SELECT job_id, lane, status FROM onelane.ledger WHERE lane LIKE 'page:drained-%' ORDER BY seq"
    ends = database.execute(sql).fetchall()
    assert sorted(job_id for job_id, _, _ in ends) == sorted(place)
    assert {status for _, _, status in ends} == {"applied", "cancelled", "dead"}
    for page in PAGES:
        applied = [place[job_id][1] for job_id, on, status in ends if on == f"page:{page}" and status == "applied"]
        rows = database.execute("SELECT text FROM stamps WHERE page = %s ORDER BY n", [page]).fetchall()
        assert [text for (text,) in rows] == applied == sorted(applied)
    assert lanes.hmget(keys.named("cancelled"), list(place)) == [None] * len(place)
    for page in PAGES:
        for memory in ("held", "tokens", "attempts", "crashes"):
            assert not lanes.hexists(keys.named(memory), f"page:{page}"), memory
        for index in ("ready", "claimed"):
            assert lanes.zscore(keys.named(index), f"page:{page}") is None, index

"""Metrics: what was counted is shown, for the whole cluster, without a series for each lane."""

import json
from collections import Counter

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from worker.database import connect
from worker.entry import End, Entry
from worker.envelope import encode
from worker.heartbeat import Heartbeat
from worker.lane import Keys
from worker.metrics import registry
from worker.settings import Settings
from worker.tally import BATCH_JOBS, Tally
from worker.verdict import Failure, Fault


def scrape(settings: Settings) -> dict[str, float]:
    """Each sample of an exposition, as Prometheus names it."""
    text = generate_latest(registry(settings)).decode()
    return {
        s.name + (json.dumps(s.labels) if s.labels else ""): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if not s.name.endswith("_created")
    }


def entry(number: int, attempts: int = 1) -> Entry:
    _, body = encode(Heartbeat(), lane="heartbeat", job_id=f"j{number}", actor="a", reason=None, at=1)
    return Entry.read("heartbeat", b'{"seq":%d,%s' % (number, body[1:]), attempts, 0)


@pytest.fixture
def tally(redis: Redis, settings: Settings) -> Tally:
    return Tally(redis, Keys(settings.prefix))


def test_what_ended_is_counted_by_kind_and_outcome(tally: Tally, settings: Settings) -> None:
    refused = Failure(Fault.PERMANENT, "CheckViolation", "23514", "no", "users_discipline_check")
    tally.ended([(entry(n), End("applied", "ok", "")) for n in range(3)], 0.004)
    tally.ended([(entry(3, attempts=2), End("applied", "ok", ""))], 0.004)
    tally.ended([(entry(4), End("dead", "permanent", "", failure=refused))], 2.0)
    tally.retried(entry(3), Failure(Fault.TRANSIENT, "LockNotAvailable", "55P03", "lock"))
    tally.ended([], 1.0)
    shown = scrape(settings)
    kind = '"kind": "onelane.heartbeat"'
    assert shown[f'onelane_jobs_total{{"status": "applied", {kind}}}'] == 4
    assert shown[f'onelane_jobs_total{{"status": "dead", {kind}}}'] == 1
    assert shown[f"onelane_retries_total{{{kind}}}"] == 1
    assert shown[f"onelane_recovered_total{{{kind}}}"] == 1
    assert shown['onelane_constraint_violations_total{"constraint": "users_discipline_check"}'] == 1
    assert shown["onelane_batches_total"] == 3
    assert shown["onelane_batch_jobs_count"] == 3
    assert shown["onelane_batch_jobs_sum"] == 5
    assert shown['onelane_apply_seconds_bucket{"le": "0.005"}'] == 2
    assert shown['onelane_apply_seconds_bucket{"le": "5.0"}'] == 3
    assert shown["onelane_apply_seconds_sum"] == pytest.approx(2.008)
    assert shown['onelane_wait_seconds_bucket{"le": "3600.0"}'] == 0
    assert shown['onelane_wait_seconds_bucket{"le": "+Inf"}'] == 5


def test_lanes_and_backlogs_are_those_of_the_cluster(redis: Redis, settings: Settings) -> None:
    keys = Keys(settings.prefix)
    redis.zadd(keys.named("ready"), {"a": 1, "b": 2, "parked": 9e15})
    redis.hset(keys.named("held"), mapping={"h": "0 {}"})
    redis.hset(keys.named("pending"), mapping={"j1": "d a", "j2": "d b", "j3": "d c"})
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO onelane.outbox (topic, kind, payload, actor) VALUES ('effect', 'dm', '{}', 'a')"
        )
    shown = scrape(settings)
    assert {
        state: shown[f'onelane_lanes{{"state": "{state}"}}'] for state in ("ready", "parked", "held", "claimed")
    } == {
        "ready": 2,
        "parked": 1,
        "held": 1,
        "claimed": 0,
    }
    assert shown["onelane_waiting_jobs"] == 3
    assert shown["onelane_outbox_rows"] == 1
    assert shown["onelane_dead_letters"] == 0
    assert shown["onelane_oldest_ready_seconds"] > 1_000_000
    assert shown['onelane_up{"service": "redis"}'] == shown['onelane_up{"service": "postgresql"}'] == 1


def test_a_service_that_is_away_is_a_figure(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none"})
    shown = scrape(away)
    assert shown['onelane_up{"service": "postgresql"}'] == 0
    assert shown['onelane_up{"service": "redis"}'] == 1
    assert "onelane_outbox_rows" not in shown
    assert "onelane_waiting_jobs" in shown


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    counts: Counter[str] = Counter()
    for value in (1, 2, 3, 2000, 2001):
        BATCH_JOBS.observe(counts, value)
    assert counts == {
        "batch_jobs|1": 1,
        "batch_jobs|2": 1,
        "batch_jobs|5": 1,
        "batch_jobs|2000": 1,
        "batch_jobs|inf": 1,
        "batch_jobs|sum": 4007,
    }

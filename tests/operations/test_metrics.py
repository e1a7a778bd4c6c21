"""Metrics: what was counted is shown, for the whole cluster, without a series for each lane."""

import json
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from tests.operations.conftest import hanging, until
from worker.alerts import Alerts
from worker.database import connect
from worker.embedded import start_postgres, start_redis
from worker.enqueue import enqueue, order
from worker.entry import End, Entry
from worker.envelope import encode
from worker.heartbeat import Heartbeat
from worker.lane import Keys
from worker.metrics import OnelaneCollector
from worker.migrate import migrate
from worker.settings import Settings
from worker.tally import BATCH_JOBS, count, ended, retried
from worker.verdict import Failure, Fault


def samples(collector: OnelaneCollector) -> dict[str, float]:
    """Each sample of an exposition, as Prometheus names it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return {
        s.name + (json.dumps(s.labels) if s.labels else ""): s.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for s in family.samples
    }


def scrape(settings: Settings) -> dict[str, float]:
    with OnelaneCollector(settings) as collector:
        return samples(collector)


def up(collector: OnelaneCollector) -> list[float]:
    shown = samples(collector)
    return [shown[f'onelane_up{{"service": "{service}"}}'] for service in ("redis", "postgresql")]


def entry(number: int, attempts: int = 1) -> Entry:
    _, body = encode(Heartbeat(), lane="heartbeat", job_id=f"j{number}", actor="a", reason=None, at=1)
    return Entry.read("heartbeat", b'{"seq":%d,%s' % (number, body[1:]), attempts, 0)


Add = Callable[[Counter[str]], None]


@pytest.fixture
def add(redis: Redis, settings: Settings) -> Add:
    return partial(count, redis, Keys(settings.prefix))


def test_each_constraint_has_its_counter_before_it_refuses_a_row_so_that_a_rate_sees_the_first(
    add: Add, settings: Settings
) -> None:
    with connect(settings) as connection:
        connection.execute("CREATE UNIQUE INDEX one_name ON users (name)")
    refused = Failure(Fault.PERMANENT, "CheckViolation", "23514", "no", "users_discipline_check")
    gone = Failure(Fault.PERMANENT, "CheckViolation", "23514", "no", "dropped_since")
    before = violations(settings)
    add(retried(entry(1), refused) + retried(entry(2), gone))
    assert before["users_discipline_check"] == before["one_name"] == before["ledger_pkey"] == 0
    assert set(before.values()) == {0}
    assert len(before) < 100
    assert violations(settings) == {**before, "users_discipline_check": 1, "dropped_since": 1}


def violations(settings: Settings) -> dict[str, float]:
    name = "onelane_constraint_violations_total"
    shown = {key.removeprefix(name): value for key, value in scrape(settings).items() if key.startswith(name)}
    return {json.loads(labels)["constraint"]: value for labels, value in shown.items()}


def test_what_ended_is_counted_by_kind_and_outcome(add: Add, settings: Settings) -> None:
    refused = Failure(Fault.PERMANENT, "CheckViolation", "23514", "no", "users_discipline_check")
    add(ended([(entry(n), End("applied", "ok", "")) for n in range(3)], 0.004))
    add(ended([(entry(3, attempts=2), End("unchanged", "ok", ""))], 0.004))
    add(ended([(entry(4, attempts=8), End("dead", "permanent", "", failure=refused))], 2.0))
    add(retried(entry(3), Failure(Fault.TRANSIENT, "LockNotAvailable", "55P03", "lock")))
    shown = scrape(settings)
    kind = '"kind": "onelane.heartbeat"'
    assert shown[f'onelane_jobs_total{{{kind}, "status": "applied"}}'] == 3
    assert shown[f'onelane_jobs_total{{{kind}, "status": "unchanged"}}'] == 1
    assert shown[f'onelane_jobs_total{{{kind}, "status": "dead"}}'] == 1
    assert shown[f"onelane_retries_total{{{kind}}}"] == 1
    assert shown[f'onelane_retried_jobs_total{{{kind}, "result": "recovered"}}'] == 1
    assert shown[f'onelane_retried_jobs_total{{{kind}, "result": "failed"}}'] == 1
    assert shown['onelane_constraint_violations_total{"constraint": "users_discipline_check"}'] == 1
    assert shown["onelane_batches_total"] == 3
    assert shown["onelane_batch_jobs_count"] == 3
    assert shown["onelane_batch_jobs_sum"] == 5
    assert shown['onelane_apply_seconds_bucket{"le": "0.005"}'] == 2
    assert shown['onelane_apply_seconds_bucket{"le": "5.0"}'] == 3
    assert shown["onelane_apply_seconds_sum"] == pytest.approx(2.008)
    assert shown['onelane_wait_seconds_bucket{"le": "3600.0"}'] == 0
    assert shown['onelane_wait_seconds_bucket{"le": "+Inf"}'] == 5


def test_what_comes_is_counted_by_kind_and_so_is_what_was_known(redis: Redis, settings: Settings) -> None:
    orders = [order(Heartbeat(), settings, actor="a", job_id=f"j{n}") for n in range(3)]
    keys = Keys(settings.prefix)
    assert enqueue(redis, keys, settings, orders)[1] == ["queued"] * 3
    assert enqueue(redis, keys, settings, orders[:2])[1] == ["duplicate"] * 2
    shown = scrape(settings)
    assert shown['onelane_enqueued_total{"kind": "onelane.heartbeat"}'] == 3
    assert shown['onelane_deduplicated_total{"kind": "onelane.heartbeat"}'] == 2


def test_lanes_and_backlogs_are_those_of_the_cluster(redis: Redis, settings: Settings) -> None:
    named = Keys(settings.prefix).named
    soon = (time.time() + 60) * 1_000_000
    redis.zadd(named("ready"), {"a": 1, "b": 2, "parked": soon})
    redis.hset(named("held"), mapping={"h": "0 {}"})
    redis.zadd(named("claimed"), {"c": 1, "d": 1, "e": 1, "f": 1})
    redis.hset(named("pending"), mapping={"j1": "d a", "j2": "d b", "j3": "d c"})
    redis.zadd(named("drains"), {"one": soon, "two": soon, "died": 1})
    redis.zadd(named("workers"), {"one": soon, "died": 1})
    alerts = Alerts(redis, Keys(settings.prefix))
    for incident in ("dead", "spool:one", "spool:two", "outage:postgresql"):
        alerts.begin(incident, "…")
    alerts.end("outage:postgresql", "…")
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO onelane.outbox (topic, kind, payload, actor) VALUES ('effect', 'dm', '{}', 'a')"
        )
    settings.data_dir.joinpath("spool.jsonl").write_bytes(b"12345\n")
    shown = scrape(settings)
    assert shown.pop("onelane_oldest_ready_seconds") > 1_000_000
    assert {
        name: value
        for name, value in shown.items()
        if not name.endswith(("_bucket", "_sum", "_count"))
        if "bucket" not in name and "violations" not in name
    } == {
        'onelane_lanes{"state": "ready"}': 2,
        'onelane_lanes{"state": "parked"}': 1,
        'onelane_lanes{"state": "held"}': 1,
        'onelane_lanes{"state": "claimed"}': 4,
        "onelane_waiting_jobs": 3,
        "onelane_drains": 2,
        "onelane_workers": 1,
        "onelane_outbox_rows": 1,
        "onelane_dead_letters": 0,
        "onelane_spool_bytes": 6,
        'onelane_up{"service": "redis"}': 1,
        'onelane_up{"service": "postgresql"}': 1,
        'onelane_incidents{"incident": "outage"}': 0,
        'onelane_incidents{"incident": "dead"}': 1,
        'onelane_incidents{"incident": "crash_loop"}': 0,
        'onelane_incidents{"incident": "held"}': 0,
        'onelane_incidents{"incident": "oldest"}': 0,
        'onelane_incidents{"incident": "spool"}': 2,
        'onelane_incidents{"incident": "consistency"}': 0,
    }


def test_the_number_of_series_does_not_grow_with_lanes_jobs_or_invented_kinds(
    add: Add, redis: Redis, settings: Settings
) -> None:
    def fill(number: int) -> int:
        named = Keys(settings.prefix).named
        redis.zadd(named("ready"), {f"user:U{number}": number})
        redis.hset(named("held"), f"user:H{number}", "0 {}")
        damaged = Entry.read(f"lane{number}", b'{"kind":"kind%d"}' % number, 1, 0)
        other = entry(number).envelope.__class__(1, "j", f"kind{number}", "l", "a", None, 1, "d", {})
        unknown = Entry(b"", other, None, End("dead", "unknown_kind", ""), 1, 0)
        add(ended([(e, e.end or End("applied", "ok", "")) for e in (damaged, unknown, entry(number))], 0.1))
        return len(scrape(settings))

    assert len({fill(number) for number in range(1, 20)}) == 1


def test_a_service_that_is_away_is_a_figure(settings: Settings) -> None:
    shown = scrape(settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/none"}))
    assert shown['onelane_up{"service": "postgresql"}'] == 0
    assert shown['onelane_up{"service": "redis"}'] == 1
    assert "onelane_outbox_rows" not in shown
    assert "onelane_waiting_jobs" in shown
    shown = scrape(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"}))
    assert shown['onelane_up{"service": "postgresql"}'] == 1
    assert shown['onelane_up{"service": "redis"}'] == 0
    assert "onelane_waiting_jobs" not in shown
    assert "onelane_outbox_rows" in shown


def test_a_spool_that_can_not_be_looked_at_is_left_out(settings: Settings) -> None:
    settings.data_dir.joinpath("file").touch()
    shown = scrape(settings.model_copy(update={"data_dir": settings.data_dir / "file"}))
    assert "onelane_spool_bytes" not in shown
    assert [shown[f'onelane_up{{"service": "{name}"}}'] for name in ("redis", "postgresql")] == [1, 1]


def test_a_service_that_hangs_costs_a_scrape_some_seconds_once_and_is_seen_again_when_it_goes_on(
    tmp_path: Path,
) -> None:
    with start_redis(tmp_path / "r", durable=False) as redis, start_postgres(tmp_path / "p", durable=False) as postgres:
        migrate(postgres.url)
        settings = Settings(redis_url=redis.url, database_url=postgres.url, data_dir=tmp_path)
        with OnelaneCollector(settings) as collector:
            assert up(collector) == [1, 1]
            for pid, expected in ((redis.pid, [0, 1]), (postgres.pid, [1, 0])):
                with hanging(pid):
                    began = time.monotonic()
                    assert up(collector) == expected
                    assert time.monotonic() - began < 5
                assert until(lambda: up(collector) == [1, 1])


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    assert BATCH_JOBS.observe(1, 2, 3, 2000, 2001) == {
        "batch_jobs|1": 1,
        "batch_jobs|2": 1,
        "batch_jobs|5": 1,
        "batch_jobs|2000": 1,
        "batch_jobs|inf": 1,
        "batch_jobs|sum": 4007,
    }

"""Metrics for Prometheus: cluster-wide figures from Redis and PostgreSQL, not from one process's memory.

Any process can show them, and all show the same. A service that is away is itself a figure (`onelane_up`); what it
would have told is left out then. The number of time series depends on kinds and constraints, never on lanes.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator

import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from worker.database import connect
from worker.lane import Keys
from worker.query import query
from worker.redis_client import redis_client
from worker.settings import Settings
from worker.spool import Spool
from worker.tally import APPLY_US, BATCH_JOBS, WAIT_US, Histogram

COUNTERS = {
    "jobs": ("onelane_jobs", "Jobs that ended, by how and of which kind.", ("status", "kind")),
    "enqueued": ("onelane_enqueued", "Jobs that were put onto a lane.", ("kind",)),
    "duplicates": ("onelane_duplicates", "Jobs whose id was known already.", ("kind",)),
    "retries": ("onelane_retries", "Attempts that failed and were made again.", ("kind",)),
    "recovered": ("onelane_recovered", "Jobs that were applied after a retry.", ("kind",)),
    "violations": ("onelane_constraint_violations", "Rows that a constraint refused.", ("constraint",)),
    "batches": ("onelane_batches", "Batches that were acknowledged.", ()),
}
HISTOGRAMS = {
    WAIT_US: ("onelane_wait_seconds", "From enqueue to commit.", 1_000_000),
    APPLY_US: ("onelane_apply_seconds", "What a batch took in PostgreSQL.", 1_000_000),
    BATCH_JOBS: ("onelane_batch_jobs", "Jobs in a batch.", 1),
}


class OnelaneCollector(Collector):
    """Asks Redis and PostgreSQL at each scrape."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._redis: Redis = redis_client(settings)
        self._connection: psycopg.Connection | None = None
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        with self._one_at_a_time:
            yield from self._gather()

    def describe(self) -> list[Metric]:
        """Nothing ahead of a scrape: registering must not need the services."""
        return []

    def _gather(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("onelane_up", "Whether a service answers.", labels=["service"])
        for service, gather in (("redis", self._from_redis), ("postgresql", self._from_postgresql)):
            try:
                metrics = list(gather())
            except (RedisError, psycopg.Error):
                self._connection = None
                metrics = []
            up.add_metric([service], float(bool(metrics)))
            yield from metrics
        yield up
        spool = Spool(self._settings.data_dir).size()
        yield GaugeMetricFamily("onelane_spool_bytes", "What waits in this host's spool, bytes.", value=spool)

    def _from_redis(self) -> Iterator[Metric]:
        named, now = self._keys.named, time.time_ns() // 1000
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(named("tally"))
            pipeline.zcount(named("ready"), "-inf", now)
            pipeline.zcount(named("ready"), f"({now}", "+inf")
            pipeline.hlen(named("held"))
            pipeline.zcard(named("claimed"))
            pipeline.hlen(named("pending"))
            pipeline.zcount(named("drains"), now, "+inf")
            pipeline.zrange(named("ready"), 0, 0, withscores=True)
            pipeline.hlen(named("incidents"))
            pipeline.hexists(named("incidents"), "outage:postgresql")
            tally, ready, parked, held, claimed, waiting, drains, oldest, incidents, outage = pipeline.execute()
        yield from counted({field.decode(): int(value) for field, value in tally.items()})
        lanes = GaugeMetricFamily("onelane_lanes", "Lanes that are not empty, by state.", labels=["state"])
        for state, number in (("ready", ready), ("parked", parked), ("held", held), ("claimed", claimed)):
            lanes.add_metric([state], number)
        yield lanes
        age = max(0.0, (now - oldest[0][1]) / 1_000_000) if oldest else 0.0
        yield GaugeMetricFamily("onelane_oldest_ready_seconds", "How long the oldest ready lane waits.", value=age)
        yield GaugeMetricFamily("onelane_waiting_jobs", "Jobs in lanes.", value=waiting)
        yield GaugeMetricFamily("onelane_drains", "Drains at work.", value=drains)
        yield GaugeMetricFamily("onelane_incidents", "Incidents that have begun and are not over.", value=incidents)
        yield GaugeMetricFamily("onelane_outage", "Whether workers miss PostgreSQL.", value=int(outage))

    def _from_postgresql(self) -> Iterator[Metric]:
        if self._connection is None:
            self._connection = connect(self._settings, name="onelane-metrics")
        row = self._connection.execute(query("backlog")).fetchone() or (0, 0)
        yield GaugeMetricFamily("onelane_outbox_rows", "What waits in the outbox.", value=row[0])
        yield GaugeMetricFamily("onelane_dead_letters", "Dead letters that wait for an operator.", value=row[1])


def counted(tally: dict[str, int]) -> Iterator[Metric]:
    """The metrics of the shared counters."""
    fields: dict[str, dict[tuple[str, ...], int]] = defaultdict(dict)
    for field, value in tally.items():
        name, *labels = field.split("|")
        fields[name][tuple(labels)] = value
    for name, (metric, text, label_names) in COUNTERS.items():
        family = CounterMetricFamily(metric, text, labels=label_names)
        for label_values, value in sorted(fields[name].items()):
            family.add_metric(label_values, value)
        yield family
    for histogram, (metric, text, unit) in HISTOGRAMS.items():
        yield _distribution(histogram, metric, text, unit, fields[histogram.name])


def _distribution(
    histogram: Histogram, metric: str, text: str, unit: int, fields: dict[tuple[str, ...], int]
) -> Metric:
    family, below = HistogramMetricFamily(metric, text), 0
    buckets = []
    for bound in (*map(str, histogram.bounds), "inf"):
        below += fields.get((bound,), 0)
        buckets.append(("+Inf" if bound == "inf" else f"{int(bound) / unit:g}", below))
    family.add_metric([], buckets, fields.get(("sum",), 0) / unit)
    return family


def registry(settings: Settings) -> CollectorRegistry:
    """A registry with Onelane's metrics alone."""
    made = CollectorRegistry(auto_describe=False)
    made.register(OnelaneCollector(settings))
    return made

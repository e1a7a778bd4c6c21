"""Metrics for Prometheus: cluster-wide figures from Redis and PostgreSQL, not from one process's memory.

Any process can show them, and all show the same. A service that is away or hangs is itself a figure (`onelane_up`);
what it would have told is left out then. The number of time series depends on kinds and constraints, never on lanes.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Self

import psycopg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from worker.alerts import NAMES, Alerts
from worker.database import connect
from worker.errors import ConfigurationError, SpoolUnusable
from worker.lane import Keys
from worker.lane_book import LaneBook
from worker.probe import Late, Probe, answer_of
from worker.query import query
from worker.redis_client import redis_client
from worker.settings import Settings
from worker.spool import Spool
from worker.tally import APPLY_US, BATCH_JOBS, WAIT_US, Histogram

ANSWER_SECONDS = 4.0
"""Prometheus itself waits 10 s for a scrape unless it is told otherwise."""

VIOLATIONS = "onelane_constraint_violations"
COUNTERS = {
    "enqueued": ("onelane_enqueued", "Jobs that were put onto a lane.", ("kind",)),
    "deduplicated": ("onelane_deduplicated", "Jobs whose id was known already.", ("kind",)),
    "jobs": ("onelane_jobs", "Jobs that ended, by how and of which kind.", ("status", "kind")),
    "retries": ("onelane_retries", "Attempts that failed and were made again.", ("kind",)),
    "retried": ("onelane_retried_jobs", "Jobs that needed more than one attempt.", ("result", "kind")),
    "violations": (VIOLATIONS, "Rows that a constraint refused.", ("constraint",)),
    "replies": ("onelane_replies", "Answers to people, by whether they were posted or given up.", ("result",)),
    "batches": ("onelane_batches", "Batches that were acknowledged.", ()),
}
HISTOGRAMS = (
    (WAIT_US, "onelane_wait_seconds", "From enqueue to commit.", 1_000_000),
    (APPLY_US, "onelane_apply_seconds", "What a batch took in PostgreSQL.", 1_000_000),
    (BATCH_JOBS, "onelane_batch_jobs", "Jobs in a batch.", 1),
)


class OnelaneCollector(Collector):
    """Asks Redis and PostgreSQL at each scrape. Close it, or use it as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._redis: Redis = redis_client(settings)
        self._connection: psycopg.Connection | None = None
        self._constraints: list[str] = []
        self._probes = {
            "postgresql": Probe("onelane-metrics-postgresql", lambda: list(self._from_postgresql())),
            "redis": Probe("onelane-metrics-redis", lambda: list(self._from_redis())),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._disconnect()

    def describe(self) -> list[Metric]:
        """Nothing ahead of a scrape: registering must not need the services."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics, as of now."""
        up = GaugeMetricFamily("onelane_up", "Whether a service answers.", labels=["service"])
        deadline = time.monotonic() + ANSWER_SECONDS
        asked = {service: probe.ask() for service, probe in self._probes.items()}
        for service, answer in asked.items():
            try:
                metrics = answer_of(answer, deadline - time.monotonic())
            except (Late, RedisError, psycopg.Error, ConfigurationError):
                metrics = []
            up.add_metric([service], float(bool(metrics)))
            yield from map(self._complete, metrics)
        yield up
        with suppress(SpoolUnusable):  # nobody can tell
            spool = Spool(self._settings.data_dir).size()
            yield GaugeMetricFamily("onelane_spool_bytes", "What waits in this host's spool, bytes.", value=spool)

    def _complete(self, metric: Metric) -> Metric:
        """A constraint that has refused nothing is counted too: a rate does not see a counter begin."""
        if metric.name == VIOLATIONS:
            seen = {sample.labels["constraint"] for sample in metric.samples}
            for name in self._constraints:
                if name not in seen:
                    metric.add_sample(f"{VIOLATIONS}_total", {"constraint": name}, 0)
        return metric

    def _from_redis(self) -> Iterator[Metric]:
        named, now = self._keys.named, time.time()
        totals = LaneBook(self._redis, self._keys).totals()
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(named("tally"))
            pipeline.zcount(named("drains"), round(now * 1_000_000), "+inf")
            pipeline.zcount(named("workers"), round(now * 1_000_000), "+inf")
            tally, drains, workers = pipeline.execute()
        yield from counted({field.decode(): int(value) for field, value in tally.items()})
        states = {"ready": totals.ready, "parked": totals.parked, "held": totals.held, "claimed": totals.claimed}
        yield _gauges("onelane_lanes", "Lanes that are not empty, by state.", "state", states)
        age = max(0.0, now - totals.oldest.timestamp()) if totals.oldest is not None else 0.0
        yield GaugeMetricFamily("onelane_oldest_ready_seconds", "How long the oldest ready lane waits.", value=age)
        yield GaugeMetricFamily("onelane_waiting_jobs", "Jobs in lanes.", value=totals.jobs)
        yield GaugeMetricFamily("onelane_drains", "Drains at work.", value=drains)
        yield GaugeMetricFamily("onelane_workers", "Workers that live.", value=workers)
        begun = [incident.partition(":")[0] for incident in Alerts(self._redis, self._keys).open()]
        incidents = {name: begun.count(name) for name in NAMES}
        yield _gauges("onelane_incidents", "Incidents that are not over, by what it is.", "incident", incidents)

    def _from_postgresql(self) -> Iterator[Metric]:
        try:
            if self._connection is None:
                self._connection = connect(self._settings, name="onelane-metrics")
            outbox, dead = self._connection.execute(query("backlog")).fetchone() or (0, 0)
            self._constraints = [name for (name,) in self._connection.execute(query("constraints"))]
        except BaseException:
            self._disconnect()
            raise
        yield GaugeMetricFamily("onelane_outbox_rows", "What waits in the outbox.", value=outbox)
        yield GaugeMetricFamily("onelane_dead_letters", "Dead letters that wait for an operator.", value=dead)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def counted(tally: Mapping[str, int]) -> Iterator[Metric]:
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
    for histogram, metric, text, unit in HISTOGRAMS:
        yield _distribution(histogram, metric, text, unit, fields[histogram.name])


def _distribution(
    histogram: Histogram, metric: str, text: str, unit: int, fields: Mapping[tuple[str, ...], int]
) -> Metric:
    family, below = HistogramMetricFamily(metric, text), 0
    buckets = []
    for bound in (*map(str, histogram.bounds), "inf"):
        below += fields.get((bound,), 0)
        buckets.append(("+Inf" if bound == "inf" else str(int(bound) / unit), below))
    family.add_metric([], buckets, fields.get(("sum",), 0) / unit)
    return family


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for labelled, value in values.items():
        family.add_metric([labelled], value)
    return family

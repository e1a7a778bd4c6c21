"""Every query of the dashboard and of the alert rules asks for what a system that has worked really shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.operations import kinds
from tests.operations.conftest import ROOT, running_worker, until
from worker.client import Client
from worker.database import connect
from worker.embedded import start_postgres, start_redis
from worker.health import Checkup
from worker.job import load_kinds
from worker.metrics import OnelaneCollector
from worker.migrate import migrate
from worker.settings import Settings

DASHBOARD = json.loads((ROOT / "ops/grafana-dashboard.json").read_text())
RULES = yaml.safe_load((ROOT / "ops/alert-rules.yml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    **{f"{p['title']} {t['refId']}": t["expr"].replace("$__rate_interval", "5m") for p in PANELS for t in p["targets"]},
    **{rule["alert"]: rule["expr"] for rule in RULES},
}


def work(settings: Settings) -> None:
    """Let jobs come to every kind of end."""
    client = Client(settings)
    jobs = (
        (kinds.Save(number=1), "one"),
        (kinds.Save(number=1), "one"),
        (kinds.Save(number=1), "another"),
        (kinds.Save(number=-1), "refused"),
        (kinds.FailTwice(), "retried"),
        (kinds.SaveOrHold(number=-2), "held"),
    )
    found = [client.enqueue(job, actor="U0EXAMPLE01", id=job_id).wait(20).status for job, job_id in jobs]
    assert found == ["applied", "applied", "unchanged", "dead", "applied", "dead"]
    assert Checkup(settings).health().state == "degraded"
    client.redis.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sample]]:
    """What a system shows that has done something."""
    place = tmp_path_factory.mktemp("system")
    with (
        start_redis(place / "redis", durable=False) as redis,
        start_postgres(place / "postgres", durable=False) as postgres,
    ):
        tasks = f"tasks,{kinds.__name__}"
        settings = Settings(redis_url=redis.url, database_url=postgres.url, data_dir=place, tasks=tasks)
        migrate(postgres.url)
        load_kinds([kinds.__name__])
        with connect(settings) as connection:
            kinds.make_tables(connection)
        registry = CollectorRegistry(auto_describe=False)
        with running_worker(settings, place / "log"), OnelaneCollector(settings) as collector:
            work(settings)
            registry.register(collector)
            yield until(lambda: samples(registry))


def samples(registry: CollectorRegistry) -> list[Sample]:
    """All samples, once the worker's sentinel has been seen."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    found = [sample for family in families for sample in family.samples]
    return found if any(s.name == "onelane_workers" and s.value for s in found) else []


def parts(expression: Any) -> Iterator[Any]:
    """An expression and all that it is made of."""
    yield expression
    for name in ("lhs", "rhs", "expr", "vector_selector", "param"):
        if (part := getattr(expression, name, None)) is not None:
            yield from parts(part)
    for argument in getattr(expression, "args", None) or []:
        yield from parts(argument)


def matches(sample: Sample, selector: Any) -> bool:
    wanted = selector.matchers.matchers
    assert all(matcher.op == promql_parser.MatchOp.Equal for matcher in wanted), "this test knows no other operator"
    return sample.name == selector.name and all(sample.labels.get(m.name, "") == m.value for m in wanted)


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_finds_data(name: str, scraped: list[Sample]) -> None:
    found = list(parts(promql_parser.parse(QUERIES[name])))
    selectors = [part for part in found if isinstance(part, promql_parser.VectorSelector)]
    assert selectors
    labels: set[str] = set()
    for selector in selectors:
        matching = [sample for sample in scraped if matches(sample, selector)]
        assert matching, f"no sample matches {selector.prettify()}"
        labels |= {label for sample in matching for label in sample.labels}
    for aggregate in (part for part in found if isinstance(part, promql_parser.AggregateExpr) and part.modifier):
        assert set(aggregate.modifier.labels) <= labels


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_legend_names_labels_that_its_query_keeps(panel: dict[str, Any], scraped: list[Sample]) -> None:
    for target in panel["targets"]:
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            names = [
                p.name
                for p in parts(promql_parser.parse(target["expr"].replace("$__rate_interval", "5m")))
                if isinstance(p, promql_parser.VectorSelector)
            ]
            assert any(label in sample.labels for sample in scraped if sample.name in names)


def test_each_metric_is_shown_in_the_dashboard(scraped: list[Sample]) -> None:
    shown = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])
    names = {re.sub("_(bucket|sum|count)$", "", sample.name) for sample in scraped}
    assert {name for name in names if name not in shown} == set()


def test_what_a_rule_pages_for_is_right_when_it_happens(scraped: list[Sample]) -> None:
    shown = {(s.name, *sorted(s.labels.items())): s.value for s in scraped}
    assert shown["onelane_dead_letters",] == 2
    assert shown["onelane_lanes", ("state", "held")] == 1
    assert shown["onelane_workers",] == 1
    assert shown["onelane_up", ("service", "redis")] == shown["onelane_up", ("service", "postgresql")] == 1
    assert shown["onelane_constraint_violations_total", ("constraint", "numbers_are_positive")] >= 2
    assert shown["onelane_retried_jobs_total", ("kind", "number.fail_twice"), ("result", "recovered")] == 1
    assert shown["onelane_retries_total", ("kind", "number.fail_twice")] >= 1


def test_panels_do_not_overlap_and_ids_and_titles_are_unique() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_rule_says_how_bad_it_is_and_leads_to_a_section_of_the_run_book(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", Path(ROOT, page).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}

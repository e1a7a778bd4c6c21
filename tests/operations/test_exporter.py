"""The exporter as a process: three pages, which go on answering while a service hangs."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.operations.conftest import ROOT, environment, hanging, running, until
from worker.embedded import start_redis
from worker.exporter import exporter
from worker.settings import Settings

ONELANE = [sys.executable, "-c", "from worker.cli import main; main()"]


def page(address: str, path: str) -> tuple[int, Any]:
    """Status and body of a page; JSON is read."""
    try:
        with urlopen(f"{address}{path}", timeout=10) as answer:
            status, body = answer.status, answer.read()
    except HTTPError as error:
        with error:
            status, body = error.code, error.read()
    return status, json.loads(body) if body.startswith(b"{") else body.decode()


def timed(address: str, path: str) -> float:
    """How long a page takes, s."""
    began = time.monotonic()
    page(address, path)
    return time.monotonic() - began


@contextmanager
def serving(settings: Settings, log: Path) -> Iterator[str]:
    """`onelane metrics` on a free port; where it is."""
    with running([*ONELANE, "metrics", "--port", "0"], settings, log):
        until(lambda: "/metrics" in log.read_text())
        yield log.read_text().strip().removeprefix("Metrics on ").removesuffix("/metrics")


def test_metrics_health_and_readiness_are_pages(settings: Settings, tmp_path: Path) -> None:
    with serving(settings, tmp_path / "log") as address:
        status, metrics = page(address, "/metrics")
        assert status == 200
        assert 'onelane_up{service="postgresql"} 1.0' in metrics.splitlines()
        assert page(address, "/healthz") == (200, {"state": "green"})
        status, ready = page(address, "/readyz")
        assert (status, ready["state"]) == (503, "down"), "no worker runs"
        assert [check["name"] for check in ready["checks"] if check["state"] == "down"] == ["workers"]
        assert page(address, "/else") == (404, {"pages": ["/metrics", "/healthz", "/readyz"]})


def test_while_a_service_hangs_every_page_answers(settings: Settings, tmp_path: Path) -> None:
    with (
        start_redis(tmp_path / "own", durable=False) as redis,
        serving(settings.model_copy(update={"redis_url": redis.url}), tmp_path / "log") as address,
        hanging(redis.pid),
    ):
        with ThreadPoolExecutor() as clients:
            slow = [clients.submit(timed, address, path) for path in ("/metrics", "/readyz")]
            assert timed(address, "/healthz") < 1
            assert not any(each.done() for each in slow), "they were on their way"
            assert [each.result() < longest for each, longest in zip(slow, (5, 2), strict=True)] == [True, True]
        assert 'onelane_up{service="redis"} 0.0' in page(address, "/metrics")[1].splitlines()


def test_a_port_in_use_is_said_in_a_sentence(settings: Settings) -> None:
    with exporter(settings, "127.0.0.1", 0) as server:
        done = subprocess.run(
            [*ONELANE, "metrics", "--port", str(server.server_port)],
            cwd=ROOT,
            env=environment(settings),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Metrics can't have port {server.server_port} on 127.0.0.1 (Address already in use): choose another one.\n"
    )


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to(settings: Settings, tmp_path: Path, asked: signal.Signals) -> None:
    with running([*ONELANE, "metrics", "--port", "0"], settings, tmp_path / "log") as process:
        until(lambda: "/metrics" in (tmp_path / "log").read_text())
        process.send_signal(asked)
        assert process.wait(10) in {0, -signal.SIGTERM}

"""The exporter: three pages over HTTP, for Prometheus and for whoever restarts what has died.

    /metrics   what worker/metrics.py gathers
    /healthz   200: this process lives
    /readyz    200: jobs get done, 503: they don't; with worker/health.py's answer as JSON

Each request has a thread of its own, so while a service hangs under one page the others answer.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from worker.errors import ConfigurationError
from worker.health import Checkup, Health
from worker.metrics import OnelaneCollector
from worker.settings import Settings

Answer = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@contextmanager
def exporter(settings: Settings, host: str, port: int) -> Iterator[WSGIServer]:
    """A server that listens; `serve_forever` makes it answer. Port 0 is any that is free.

    Raises ConfigurationError when the port can't be had.
    """
    with OnelaneCollector(settings) as collector:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)
        try:
            server = make_server(host, port, _pages(registry, Checkup(settings)), ThreadingWSGIServer, _Quiet)
        except OSError as error:
            raise ConfigurationError(
                f"Metrics can't have port {port} on {host} ({error.strerror}): choose another one."
            ) from None
        with server:
            yield server


def plain(found: Health) -> dict[str, Any]:
    """A health for JSON."""
    checks = [asdict(check) for check in found.checks]
    return {"state": found.state, "seconds": round(found.seconds, 3), "checks": checks}


def _pages(registry: CollectorRegistry, checkup: Checkup) -> Answer:
    exposition: Answer = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return exposition(environ, start_response)
            case "/healthz":
                return _reply(start_response, "200 OK", {"state": "green"})
            case "/readyz":
                found = checkup.health()
                status = "503 Service Unavailable" if found.state == "down" else "200 OK"
                return _reply(start_response, status, plain(found))
            case _:
                return _reply(start_response, "404 Not Found", {"pages": ["/metrics", "/healthz", "/readyz"]})

    return answer


def _reply(start_response: Callable[..., Any], status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class _Quiet(WSGIRequestHandler):
    """Writes no line for each scrape."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Nothing."""

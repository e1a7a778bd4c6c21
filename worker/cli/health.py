"""`onelane health` and `onelane metrics`: whether jobs get done, for people, for scripts and for Prometheus."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import typer
from prometheus_client import make_wsgi_app

from worker.cli.output import Json, print_json, say, show_table
from worker.errors import ConfigurationError
from worker.health import ORDER, Health
from worker.health import health as look
from worker.metrics import registry
from worker.settings import Settings

Answer = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def health(*, as_json: Json = False) -> None:
    """Say whether jobs get done, and what to do if not. Exit code: 0 green, 1 degraded, 2 down."""
    found = look(Settings.load())
    if as_json:
        print_json(_plain(found))
    else:
        show_table(
            ("state", "what", "how it is", "what to do"),
            [(check.state, check.name, check.text, check.remedy or None) for check in found.checks],
        )
        say(f"{found.state}, asked in {found.seconds:.1f} s")
    raise typer.Exit(ORDER.index(found.state))


def metrics(
    *,
    port: Annotated[int, typer.Option(help="Where Prometheus finds /metrics.")] = 9808,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve /metrics for Prometheus, /healthz (this process lives) and /readyz (jobs get done)."""
    settings = Settings.load()
    settings.require_redis()
    try:
        server = make_server(host, port, wsgi_app(settings), handler_class=_Quiet)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} on {host} can't be used ({error.strerror}); choose another --port."
        ) from None
    say(f"Metrics on http://{host}:{server.server_port}/metrics")
    server.serve_forever()


def wsgi_app(settings: Settings) -> Answer:
    """The three pages as a WSGI application."""
    exposition: Answer = make_wsgi_app(registry(settings))

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        match environ.get("PATH_INFO"):
            case "/metrics":
                return exposition(environ, start_response)
            case "/healthz":
                return _reply(start_response, "200 OK", {"state": "green"})
            case "/readyz":
                found = look(settings)
                return _reply(
                    start_response, "503 Service Unavailable" if found.state == "down" else "200 OK", _plain(found)
                )
            case _:
                return _reply(start_response, "404 Not Found", {"pages": ["/metrics", "/healthz", "/readyz"]})

    return answer


def _plain(found: Health) -> dict[str, Any]:
    checks = [asdict(check) for check in found.checks]
    return {"state": found.state, "seconds": round(found.seconds, 3), "checks": checks}


def _reply(start_response: Callable[..., Any], status: str, body: dict[str, Any]) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


class _Quiet(WSGIRequestHandler):
    """Writes no line for each scrape."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Nothing."""

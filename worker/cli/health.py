"""`onelane health` and `onelane metrics`: whether jobs get done, for people, for scripts and for Prometheus."""

from contextlib import suppress
from typing import Annotated

import typer

from worker.cli.output import Json, print_json, say, show_table
from worker.exporter import exporter, plain
from worker.health import ORDER, Checkup
from worker.settings import Settings


def health(*, as_json: Json = False) -> None:
    """Say whether jobs get done, and what to do if not. Exit code: 0 green, 1 degraded, 2 down."""
    found = Checkup(Settings.load()).health()
    if as_json:
        print_json(plain(found))
    else:
        show_table(
            ("state", "what", "how it is", "what to do"),
            [(check.state, check.name, check.text, check.remedy or "–") for check in found.checks],
        )
        say(f"{found.state}, asked in {found.seconds:.1f} s")
    raise typer.Exit(ORDER.index(found.state))


def metrics(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where /metrics is; 0 takes any free port.")] = 9808,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve /metrics for Prometheus, /healthz (this process lives) and /readyz (jobs get done)."""
    settings = Settings.load()
    settings.require_redis()
    with exporter(settings, host, port) as server:
        say(f"Metrics on http://{host}:{server.server_port}/metrics")
        with suppress(KeyboardInterrupt):
            server.serve_forever()

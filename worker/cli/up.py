"""`onelane up`: services, migrations, workers and Flower, in the foreground, until Ctrl-C."""

import signal
import time
from types import FrameType
from typing import Annotated

import typer

from worker.cli.output import complain, say, show_fields
from worker.embedded.server import Server
from worker.job import load_kinds
from worker.migrate import back_up, migrate, pending
from worker.recipient import require_tellable
from worker.settings import Settings
from worker.supervisor import Child, stop_all
from worker.up import FLOWER_USER, Flower, announced, flower_child, look_after, metrics, only_one, services, workers

LOOK_SECONDS = 0.2
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    *,
    number: Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="How many workers.")] = 2,
    flower_port: Annotated[int, typer.Option(min=1, max=65535, help="Where Flower listens.")] = 5555,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Run without Flower.")] = False,
    metrics_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve metrics for Prometheus and health checks there, too.")
    ] = None,
) -> None:
    """Run everything in the foreground: services, migrations, workers, Flower. Ctrl-C stops it all.

    Where ONELANE_REDIS_URL or ONELANE_DATABASE_URL is not set, a Redis or a PostgreSQL of your own runs in
    ONELANE_DATA_DIR. The other commands find all this by themselves in the same directory. A database that holds the
    bot's tables is backed up there before it is migrated.
    """
    for number_of_signal in STOPPING:
        signal.signal(number_of_signal, _interrupt_once)
    with only_one(Settings.load().data_dir):
        given = Settings.load()
        require_tellable(given)
        load_kinds(given.task_modules)
        flower = None if no_flower else Flower.on(flower_port)
        with services(given) as (settings, servers):
            applied = _migrate(settings)
            with announced(settings), metrics(settings, metrics_port) as metrics_url:
                seen = {
                    "Redis": _source(given, "redis"),
                    "PostgreSQL": _source(given, "database"),
                    "Migrations": ", ".join(applied) or "all applied before",
                    "Flower": None if flower is None else _flower_line(flower),
                    "Metrics": metrics_url,
                }
                _run(settings, servers, number, flower, seen)


def _migrate(settings: Settings) -> list[str]:
    """Apply what is pending, after a backup; the names of the steps. Raises ConfigurationError: then nothing changed,
    or whole steps.
    """
    url = settings.require_database()
    saved = back_up(url, settings.data_dir / "backups") if pending(url) else None
    if saved is not None:
        say(f"Backup: {saved.file} ({saved.size:,} bytes, sha256 {saved.sha256}), read back in full.")
        say(f"To restore it: {saved.restore}")
    return migrate(url)


def _run(
    settings: Settings, servers: list[Server], number: int, flower: Flower | None, seen: dict[str, str | None]
) -> None:
    crew = workers(settings, number)
    watchers = [] if flower is None else [flower_child(settings, flower)]
    try:
        for child in (*crew, *watchers):
            child.start()
        show_fields({**seen, "Workers": ", ".join(child.name for child in crew)})
        say("Other commands find this by themselves in this directory. Ctrl-C stops it all.")
        _look_after(servers, [*crew, *watchers])
    except KeyboardInterrupt:
        say("Stopping: the workers finish what they have begun.")
    finally:
        for name in stop_all(crew) + stop_all(watchers):
            complain(f"{name} did not stop and was killed; what it had begun is done again at the next start.")
    say("Stopped.")


def _look_after(servers: list[Server], children: list[Child]) -> None:
    while True:
        sentences = [look_after(server) for server in servers] + [child.look_after() for child in children]
        for sentence in filter(None, sentences):
            complain(sentence)
        time.sleep(LOOK_SECONDS)


def _source(given: Settings, name: str) -> str:
    if getattr(given, f"{name}_url"):
        return f"the one of ONELANE_{name.upper()}_URL"
    return f"our own, in {given.data_dir / {'redis': 'redis', 'database': 'postgres'}[name]}"


def _flower_line(flower: Flower) -> str:
    if flower.password is None:
        return f"{flower.url} (users: FLOWER_BASIC_AUTH)"
    password = flower.password if flower.made else "as in ONELANE_FLOWER_PASSWORD"
    return f"{flower.url} (user {FLOWER_USER}, password {password})"


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """Interrupt what runs now; from here on all is stopping, and a second Ctrl-C can't hurry it."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

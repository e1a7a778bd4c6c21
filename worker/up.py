"""Everything in one place: services, schema, workers and Flower, for `onelane up`.

Where no URL is configured, a Redis and a PostgreSQL of one's own run in the data directory. While all this runs,
`services.json` there tells the URLs to every command that is started in the same directory (worker/settings.py). A lock
in the directory, which the kernel frees whatever becomes of us, keeps it to one `onelane up` a directory.
"""

import fcntl
import json
import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.embedded import start_postgres, start_redis
from worker.embedded.server import Server
from worker.errors import ConfigurationError
from worker.exporter import exporter
from worker.redis_client import redis_client, require_usable
from worker.settings import SERVICES_FILE, Settings
from worker.supervisor import Child

FLOWER_USER = "onelane"
FLOWER_PASSWORD = "ONELANE_FLOWER_PASSWORD"  # noqa: S105 - the variable's name
CELERY = (sys.executable, "-P", "-m", "worker.launch", "--quiet")


@dataclass(frozen=True, slots=True)
class Flower:
    """How Flower is reached. `password` is None when FLOWER_BASIC_AUTH is set: then its owner knows it."""

    port: int
    address: str
    password: str | None
    made: bool
    """Whether the password was made here, so that somebody must be told."""

    @classmethod
    def on(cls, port: int) -> "Flower":
        """Flower on a free port of this machine. Raises ConfigurationError when the port is in use."""
        address = os.environ.get("FLOWER_ADDRESS") or "127.0.0.1"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise ConfigurationError(
                    f"Flower can't have port {port} on {address} ({error.strerror}): choose another with "
                    "--flower-port, or leave Flower out with --no-flower."
                ) from None
        if os.environ.get("FLOWER_BASIC_AUTH"):
            return cls(port, address, None, made=False)
        given = os.environ.get(FLOWER_PASSWORD)
        if given and "," in given:
            raise ConfigurationError(
                f"{FLOWER_PASSWORD} holds a comma, which Flower reads as the start of another user."
            )
        return cls(port, address, given or secrets.token_urlsafe(12), made=not given)

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{self.address}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Flower's options; on its command line everybody on this machine could read the password."""
        options = {"FLOWER_PORT": str(self.port), "FLOWER_ADDRESS": self.address}
        if self.password is not None:
            options["FLOWER_BASIC_AUTH"] = f"{FLOWER_USER}:{self.password}"
        return options


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Be the only `onelane up` of the directory. Raises ConfigurationError when another one runs, or can't be known."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / "up.lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"{data_dir} can't be written ({error.strerror}): run `onelane up` in another directory, or set "
            "ONELANE_DATA_DIR to another one."
        ) from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"`onelane up` runs already in {data_dir.resolve()}: stop it, or set ONELANE_DATA_DIR to another one."
            ) from None
        (data_dir / SERVICES_FILE).unlink(missing_ok=True)  # of one that was killed
        yield


@contextmanager
def services(settings: Settings) -> Iterator[tuple[Settings, list[Server]]]:
    """Run the services that have no URL yet, and check Redis; the settings with all URLs, and our own servers.

    Raises ConfigurationError when one can't be started or used.
    """
    with ExitStack() as running:
        urls: dict[str, str] = {}
        servers: list[Server] = []
        if not settings.redis_url:
            servers.append(running.enter_context(start_redis(settings.data_dir / "redis")))
            urls["redis_url"] = servers[-1].url
        if not settings.database_url:
            servers.append(running.enter_context(start_postgres(settings.data_dir / "postgres")))
            urls["database_url"] = servers[-1].url
        complete = settings.model_copy(update=urls)
        with redis_client(complete) as redis:
            require_usable(redis)
        yield complete, servers


def look_after(server: Server) -> str | None:
    """Start a server of our own again when it has died, and say so. Raises ConfigurationError when that fails."""
    if server.running:
        return None
    server.start()
    return f"{server.name} had died, and was started again; all that it had acknowledged is there."


@contextmanager
def announced(settings: Settings) -> Iterator[None]:
    """Tell the URLs to the other commands in this directory, until the block ends. For the owner's eyes only."""
    file = settings.data_dir / SERVICES_FILE
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    found = {"pid": os.getpid(), "redis_url": settings.redis_url, "database_url": settings.database_url}
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump(found, opened)
    fresh.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextmanager
def metrics(settings: Settings, port: int | None) -> Iterator[str | None]:
    """Serve the exporter's pages on this machine until the block ends; the URL of the metrics, None without a port.

    Raises ConfigurationError when the port can't be had.
    """
    if port is None:
        yield None
        return
    with exporter(settings, "127.0.0.1", port) as server:
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/metrics"
        server.shutdown()


def workers(settings: Settings, number: int) -> list[Child]:
    """Celery workers `worker1`, `worker2`, … of this host; not started yet."""
    environment = _environment(settings)
    return [
        Child(name, worker_command(settings, f"{name}@%h"), environment)
        for name in (f"worker{n}" for n in range(1, number + 1))
    ]


def worker_command(settings: Settings, name: str) -> list[str]:
    """The command line of one Celery worker; `%h` in its name is the host."""
    return [*CELERY, "worker", "--concurrency=1", f"--hostname={name}", f"--loglevel={settings.log_level}"]


def flower_child(settings: Settings, flower: Flower) -> Child:
    """Flower; not started yet."""
    return Child("Flower", [*CELERY, "flower"], {**_environment(settings), **flower.environment()})


def _environment(settings: Settings) -> dict[str, str]:
    own = {
        "ONELANE_REDIS_URL": settings.redis_url,
        "ONELANE_DATABASE_URL": settings.database_url,
        "ONELANE_DATA_DIR": str(settings.data_dir.resolve()),
    }
    return {**os.environ, **own}

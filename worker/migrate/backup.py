"""A backup before a migration: a `pg_dump` with its checksum, read back in full before it counts.

`pg_dump` must not be older than the server. So the one on PATH is taken if it is new enough, else the one of the
embedded PostgreSQL.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
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

SCHEMA = "public"
HEADROOM = 1.1
"""A dump is compressed; more than the tables' own size is never needed."""


@dataclass(frozen=True)
class Backup:
    """A dump that was read back."""

    file: Path
    sha256: str
    size: int
    """Bytes."""
    restore: str
    """The command that restores it into a new database."""


def back_up(database_url: str, directory: Path, modules: Sequence[str] | None = None) -> Backup | None:
    """Dump the schema of the adopted tables into a new file; None when there is none of them yet.

    Raises ConfigurationError when no fitting pg_dump is found, the disk is too small, or the dump can't be read back.
    """
    tables = [
        table
        for adoption in adoptions(Settings.load().task_modules if modules is None else modules)
        for table in adoption.tables
    ]
    with connect(database_url) as connection:
        present = [table for table in tables if _size(connection, table) is not None]
        if not present:
            return None
        programs = _programs(connection.info.server_version // 10000)
        name = f"{connection.info.dbname}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.dump"
        file = _place(directory, sum(_size(connection, table) or 0 for table in tables)) / name
    _dump(programs, database_url, file)
    _read_back(programs, file, present)
    digest = _sha256(file)
    file.with_suffix(".dump.sha256").write_text(f"{digest}  {name}\n")
    restore = f"createdb restored && {shlex.quote(str(programs / 'pg_restore'))} --no-owner --dbname=restored"
    return Backup(file, digest, file.stat().st_size, f"{restore} {shlex.quote(str(file))}")


def _size(connection: psycopg.Connection[Any], table: str) -> int | None:
    row = connection.execute("SELECT pg_total_relation_size(to_regclass(%s))", (table,)).fetchone()
    return row[0] if row else None


def _programs(server: int) -> Path:
    """The directory of a pg_dump that is no older than the server."""
    on_path = shutil.which("pg_dump")
    if on_path and _major(on_path) >= server:
        return Path(on_path).parent
    try:
        embedded = find_postgres_bin()
    except ConfigurationError:
        embedded = None
    if embedded is not None and _major(str(embedded / "pg_dump")) >= server:
        return embedded
    raise ConfigurationError(
        f"No pg_dump of version {server} or newer was found: install the PostgreSQL client, or use --no-backup."
    )


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def _place(directory: Path, needed: int) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise ConfigurationError(f"The backup can't be written to {directory}: {error.strerror}.") from error
    if free < needed * HEADROOM:
        raise ConfigurationError(
            f"The backup may need {needed * HEADROOM / 1e6:.0f} MB, and {directory} has {free / 1e6:.0f} MB free:"
            " name another directory with --backup."
        )
    return directory.resolve()


def _dump(programs: Path, database_url: str, file: Path) -> None:
    target = conninfo_to_dict(database_url)
    # Not on the command line, where every user of this machine could read it.
    password = {"PGPASSWORD": str(target.pop("password"))} if target.get("password") else {}
    command = [str(programs / "pg_dump"), "--format=custom", f"--schema={SCHEMA}", f"--file={file}"]
    os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
    done = subprocess.run(
        [*command, "--no-password", f"--dbname={make_conninfo('', **target)}"],
        env={**os.environ, **password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        file.unlink()
        raise ConfigurationError(f"pg_dump failed: {_last(done.stderr)}")


def _read_back(programs: Path, file: Path, tables: Sequence[str]) -> None:
    """Read every block, and find the rows of every table in it."""
    restore = str(programs / "pg_restore")
    read = subprocess.run([restore, f"--file={os.devnull}", str(file)], capture_output=True, text=True, check=False)
    listed = subprocess.run([restore, "--list", str(file)], capture_output=True, text=True, check=False)
    if read.returncode or listed.returncode:
        raise ConfigurationError(f"The backup {file} can't be read back: {_last(read.stderr + listed.stderr)}")
    missing = [table for table in tables if f"TABLE DATA {table.replace('.', ' ')} " not in listed.stdout]
    if missing:
        raise ConfigurationError(f"The backup {file} lacks {', '.join(missing)}.")


def _sha256(file: Path) -> str:
    with file.open("rb") as dump:
        return hashlib.file_digest(dump, "sha256").hexdigest()


def _last(said: str) -> str:
    return said.strip().splitlines()[-1] if said.strip() else "it said nothing"

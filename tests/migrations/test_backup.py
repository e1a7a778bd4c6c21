"""The backup: a dump with a checksum, read back before it counts, and restored by the command that it prints."""

import hashlib
import os
import resource
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.databases import name_of
from tests.migrations.fill import fill
from tests.migrations.shapes import build
from tests.migrations.snapshot import catalog_of, rows_of
from worker.embedded.postgres import find_postgres_bin
from worker.errors import ConfigurationError
from worker.migrate import back_up, backup, migrate

LOSSY = """#!/bin/sh
set -e
"{real}" "$@"
for word; do case $word in --file=*) file=${{word#--file=}};; esac; done
[ -z "$file" ] || truncate -s 9000 "$file"
"""


def test_the_printed_command_restores_every_row_and_the_catalog(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a database beside the old one; the file is the owner's alone and has the checksum beside it."""
    url, restored = empty_database_url, f"restored_{name_of(empty_database_url)[5:25]}"
    monkeypatch.setattr(backup, "RESTORED", restored)
    build(url, "LEGACY")
    fill(url, seed=21, size=100)
    saved = back_up(url, tmp_path / "new" / "place")
    assert saved is not None
    assert saved.size == saved.file.stat().st_size
    assert saved.sha256 == hashlib.sha256(saved.file.read_bytes()).hexdigest()
    assert (
        tmp_path / "new" / "place" / f"{saved.file.name}.sha256"
    ).read_text() == f"{saved.sha256}  {saved.file.name}\n"
    assert stat.S_IMODE(saved.file.stat().st_mode) == 0o600
    before = rows_of(url), catalog_of(url)
    migrate(url)
    try:
        subprocess.run(saved.restore, shell=True, check=True, capture_output=True)  # noqa: S602 - as a person would
        copy = make_conninfo(url, dbname=restored)
        assert (rows_of(copy), catalog_of(copy)) == before
        assert migrate(copy)
        assert catalog_of(copy) == catalog_of(url)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(restored)))


def test_the_password_is_on_no_command_line(empty_database_url: str, tmp_path: Path) -> None:
    """Neither in what is printed nor in what is run."""
    build(empty_database_url, "S1")
    with_password = make_conninfo(empty_database_url, password="hunter2")  # noqa: S106 - no secret
    saved = back_up(with_password, tmp_path)
    assert saved is not None
    assert "hunter2" not in saved.restore
    assert backup._apart(with_password)[1] == {"PGPASSWORD": "hunter2"}
    assert "hunter2" not in backup._apart(with_password)[0]


def test_without_a_table_to_adopt_there_is_nothing_to_back_up(empty_database_url: str, tmp_path: Path) -> None:
    """An empty database: no file."""
    assert back_up(empty_database_url, tmp_path / "backups") is None
    assert not (tmp_path / "backups").exists()


def test_a_dump_that_is_cut_off_or_damaged_does_not_count(empty_database_url: str, tmp_path: Path) -> None:
    """It is read to its end."""
    build(empty_database_url, "FIX")
    fill(empty_database_url, seed=22, size=200)
    saved = back_up(empty_database_url, tmp_path)
    assert saved is not None
    programs, whole = backup._programs(18), saved.file.read_bytes()
    saved.file.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ConfigurationError, match="The backup can't be read back: "):
        backup._read_back(programs, saved.file, ["public.users"])
    saved.file.write_bytes(whole)
    backup._read_back(programs, saved.file, ["public.users"])
    with pytest.raises(ConfigurationError, match=r"The backup lacks public\.nothing"):
        backup._read_back(programs, saved.file, ["public.users", "public.nothing"])


def test_a_dump_that_can_not_be_read_back_leaves_no_file(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pg_dump that says all is well, on a disk that loses the second half."""
    build(empty_database_url, "FIX")
    fill(empty_database_url, seed=24, size=200)
    with psycopg.connect(empty_database_url) as connection:
        real = backup._programs(connection.info.server_version // 10000)
    lossy = tmp_path / "bin"
    lossy.mkdir()
    for name in ("psql", "pg_restore"):
        (lossy / name).symlink_to(real[name])
    (lossy / "pg_dump").write_text(LOSSY.format(real=real["pg_dump"]))
    (lossy / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{lossy}:{os.environ['PATH']}")
    with pytest.raises(ConfigurationError, match="The backup can't be read back: "):
        back_up(empty_database_url, tmp_path / "backups")
    assert list((tmp_path / "backups").iterdir()) == []


def test_too_little_disk_is_seen_before_the_dump(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says how much is needed and how to choose another place."""
    build(empty_database_url, "LEGACY")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(
        ConfigurationError, match=r"may need [\d,]+ MB, and .* has 0 MB free: name another directory with"
    ):
        back_up(empty_database_url, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_runs_full_during_the_dump_leaves_no_file(empty_database_url: str, tmp_path: Path) -> None:
    """What pg_dump wrote by then is taken away, and its own sentence is told."""
    build(empty_database_url, "LEGACY")
    fill(empty_database_url, seed=23, size=200)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ConfigurationError, match="pg_dump failed: "):
            back_up(empty_database_url, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_can_not_be_made_is_named(empty_database_url: str, tmp_path: Path) -> None:
    """It lies below a file."""
    build(empty_database_url, "LEGACY")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"can't be written to .*file/sub: "):
        back_up(empty_database_url, tmp_path / "file" / "sub")


def test_the_programs_of_the_servers_own_version_are_taken_else_the_next_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of all that are there, wherever they lie; without any there are two ways on."""
    monkeypatch.setenv("PATH", str(find_postgres_bin()))
    assert [backup._programs(server).version for server in (16, 18)] == [16, 18]
    assert backup._programs(15).version >= 15
    with pytest.raises(ConfigurationError, match=r"No pg_dump of version 99 or newer was found: install .*--no-backup"):
        backup._programs(99)

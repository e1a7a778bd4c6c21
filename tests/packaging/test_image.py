"""The image: what the Dockerfile copies is enough to run, and nothing else reaches it."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.packaging.compose import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()
STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


def copied() -> list[str]:
    """The files and directories of this repository that the build is given."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_the_last_stage_has_no_compiler_no_sources_and_no_rights() -> None:
    build, last = STAGES
    assert build.splitlines()[0].removesuffix(" AS build") == last.splitlines()[0]
    assert re.findall(r"^COPY (.+)$", last, re.MULTILINE) == ["--from=build /opt/onelane /opt/onelane"]
    users = re.findall(r"^USER (.+)$", last, re.MULTILINE)
    assert users == ["10001"]
    assert not re.search(r"^RUN ", last[last.index("USER 10001") :], re.MULTILINE)


def test_only_what_is_copied_reaches_the_build() -> None:
    assert IGNORED[1] == "*"
    assert {line[1:] for line in IGNORED if line.startswith("!")} == set(copied())


def test_what_is_copied_is_a_whole_distribution(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={tmp_path}", str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {Path(name) for name in archive.namelist()}
    kept = {
        path.relative_to(source)
        for name in ("worker", "tasks", "migrations")
        for path in (source / name).rglob("*")
        if path.is_file()
    }
    assert kept <= packed
    assert {path.parts[0] for path in packed if not path.parts[0].endswith(".dist-info")} == {
        "worker",
        "tasks",
        "migrations",
    }

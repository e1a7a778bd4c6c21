"""Workers and Flower start in whatever directory somebody stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.up import CELERY


def report(directory: Path, redis_url: str, tasks: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "ONELANE_REDIS_URL": redis_url, "ONELANE_TASKS": tasks}
    return subprocess.run([*CELERY, "report"], cwd=directory, env=environment, capture_output=True, text=True)  # noqa: PLW1510


def test_modules_of_the_current_directory_take_no_place_of_ours(tmp_path: Path, redis_url: str) -> None:
    for name in ("tasks", "worker", "celery", "redis"):
        (tmp_path / f"{name}.py").write_text('raise RuntimeError("somebody else\'s module")\n')
    done = report(tmp_path, redis_url, "tasks")
    assert done.returncode == 0, done.stderr
    assert "task_default_queue: 'onelane'" in done.stdout


def test_job_kinds_may_lie_in_the_current_directory(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "my_jobs.py").write_text('print("my jobs are loaded")\n')
    done = report(tmp_path, redis_url, "tasks,my_jobs")
    assert "my jobs are loaded" in done.stdout, done.stderr


NO_REDIS = "No Redis is configured: set ONELANE_REDIS_URL, or run `onelane up` in this directory.\n"
NO_NUMBER = (
    "A setting is not as it must be. ONELANE_LANE_LIMIT: Input should be a valid integer, unable to parse string as"
)
NO_MODULE = "ONELANE_TASKS names 'no_such_module', which can't be imported: "
REDIS = {"ONELANE_REDIS_URL": "redis://localhost:1/0"}


@pytest.mark.parametrize("command", ["worker", "flower"])
@pytest.mark.parametrize(
    "celery", [[sys.executable, "-m", "celery", "-A", "worker.app"], CELERY], ids=["celery", "ours"]
)
@pytest.mark.parametrize(
    ("configured", "sentence"),
    [
        ({}, NO_REDIS),
        ({**REDIS, "ONELANE_LANE_LIMIT": "many"}, NO_NUMBER),
        ({**REDIS, "ONELANE_TASKS": "no_such_module"}, NO_MODULE),
    ],
    ids=["no Redis", "a wrong setting", "a missing module"],
)
def test_what_is_not_configured_is_said_in_one_sentence(
    tmp_path: Path, celery: list[str], command: str, configured: dict[str, str], sentence: str
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ONELANE_", "FLOWER_"))}
    done = subprocess.run(  # noqa: PLW1510
        [*celery, command], cwd=tmp_path, env={**clean, **configured}, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1

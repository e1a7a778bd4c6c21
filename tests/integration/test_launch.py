"""Workers and Flower start in whatever directory somebody stands."""

import os
import subprocess
from pathlib import Path

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

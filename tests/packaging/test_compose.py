"""The compose file: it is one, its commands are ours, and run as processes they come up healthy."""

import base64
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml

from tests.packaging.compose import FILE, ROOT, Unset, environment, services
from worker.embedded import start_postgres
from worker.embedded.redis_binary import find_redis_server

VARIABLES = {"REDIS_PASSWORD": "r3dis", "POSTGRES_PASSWORD": "p0stgres", "FLOWER_PASSWORD": "fl0wer"}
SERVICES = services(VARIABLES)
BIN = Path(sys.executable).parent


def checked(file: Path) -> subprocess.CompletedProcess[str]:
    """The file, checked against the compose specification's schema."""
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def commands(service: dict[str, Any]) -> Iterator[list[str]]:
    """What a service runs, its health check included; shells are looked into."""
    lines = [service["command"]] if "command" in service else []
    if test := service.get("healthcheck", {}).get("test"):
        lines.append(test[1:] if test[0] == "CMD" else ["sh", "-c", *test[1:]])
    for line in lines:
        words = shlex.split(line[2]) if line[:2] == ["sh", "-c"] else line
        yield words[1:] if words[0] == "exec" else words


OURS = [
    (name, words)
    for name, service in SERVICES.items()
    for words in commands(service)
    if words[0] in {"onelane", "celery"}
]


def test_the_file_follows_the_compose_specification(tmp_path: Path) -> None:
    found = checked(FILE)
    assert found.returncode == 0, found.stdout + found.stderr
    broken = yaml.safe_load(FILE.read_text())
    broken["services"]["worker"]["comand"] = ["onelane"]
    tmp_path.joinpath("broken.yml").write_text(yaml.safe_dump(broken))
    assert checked(tmp_path / "broken.yml").returncode == 1


@pytest.mark.parametrize("name", VARIABLES)
def test_without_a_password_nothing_starts(name: str) -> None:
    with pytest.raises(Unset, match=name):
        services({**VARIABLES, name: ""})


def test_nothing_is_published_beyond_the_loopback_address() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"flower": ["127.0.0.1:5555:5555"], "metrics": ["127.0.0.1:9808:9808"]}
    assert SERVICES["redis"]["networks"] == SERVICES["postgres"]["networks"] == ["data"]
    assert yaml.safe_load(FILE.read_text())["networks"]["data"] == {"internal": True}


def test_our_processes_have_no_rights_and_write_into_volumes_alone() -> None:
    for name in ("migrate", "worker", "flower", "metrics"):
        service = SERVICES[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        paths = {volume.partition(":")[2] for volume in service["volumes"]}
        assert paths == {service["environment"]["ONELANE_DATA_DIR"], service["environment"]["TRIAGE_MIRROR_DIR"]}


def test_every_process_of_ours_waits_for_the_migration_and_has_a_health_check() -> None:
    for name in ("worker", "flower", "metrics"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"migrate"}


@pytest.mark.parametrize(("name", "words"), OURS, ids=lambda value: value if isinstance(value, str) else value[-1])
def test_the_command_line_knows_every_command_and_option(name: str, words: list[str]) -> None:
    known = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment(SERVICES[name], {})}
    done = subprocess.run([*words, "--help"], cwd=ROOT, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^ *Usage: ", done.stdout, re.MULTILINE)
    if "flower" not in words:  # it takes any option, and starts; ours come by variables
        done = subprocess.run([*words, "--helf"], cwd=ROOT, env=known, capture_output=True, text=True, check=False)
        assert done.returncode == 2, "a wrong option would be noticed"


class Host:
    """One host that runs the services as processes: with its own ports and directories, and the file's commands."""

    def __init__(self, place: Path, postgres_url: str) -> None:
        self._place = place
        self.ports = {known: str(free_port()) for known in ("6379", "5555", "9808")}
        changes = {
            "postgresql://onelane:p0stgres@postgres:5432/bot": postgres_url,
            "@redis:6379": f"@127.0.0.1:{self.ports['6379']}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is replaced
            "/var/lib/onelane": str(place / "state"),
            "/var/lib/mirror": str(place / "mirror"),
            "5555": self.ports["5555"],
            "9808": self.ports["9808"],
        }
        text = json.dumps(SERVICES)
        for old, new in changes.items():
            text = text.replace(old, new)
        self.services: dict[str, dict[str, Any]] = json.loads(text)
        for directory in ("state", "mirror", "redis", "bin"):
            (place / directory).mkdir()
        redis = place / "bin" / "redis-server"
        redis.write_text(
            f'#!/bin/sh\nexec {find_redis_server()} --port {self.ports["6379"]} --dir {place}/redis "$@"\n'
        )
        redis.chmod(0o755)

    def environment(self, name: str) -> dict[str, str]:
        """A service's variables, and what a container has by itself."""
        own = {"PATH": f"{self._place}/bin:{BIN}:{os.environ['PATH']}", "HOSTNAME": socket.gethostname()}
        found = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
        return {**found, **own, **environment(self.services[name], {})}

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """What `docker compose exec` would do."""
        known, place = self.environment(name), self._place / "state"
        return subprocess.run(command, cwd=place, env=known, capture_output=True, text=True, check=False, timeout=60)

    def is_healthy(self, name: str) -> bool:
        """What the service's health check says."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        return self.run(name, words if kind == "CMD" else ["sh", "-c", *words]).returncode == 0

    @contextmanager
    def running(self, name: str, number: int = 1) -> Iterator[subprocess.Popen[bytes]]:
        """The service's process; a second one on this host needs another name than in a container of its own."""
        command = [
            f"--name=worker{number}" if word == "--name=worker" and number > 1 else word
            for word in self.services[name]["command"]
        ]
        with (self._place / f"{name}{number}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self._place / "state",
                env=self.environment(name),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def page(self, port: str, path: str, *, password: str | None = None) -> tuple[int, str]:
        """A page of Flower or of the metrics."""
        request = Request(f"http://127.0.0.1:{self.ports[port]}{path}")
        if password is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"onelane:{password}".encode()).decode())
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What the condition answers, as soon as that is true. Fails when the time is over first."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if answer := condition():
                return answer
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with start_postgres(tmp_path / "postgres", durable=False) as postgres:
        yield Host(tmp_path, postgres.url)


@pytest.mark.timeout(240)
def test_as_processes_all_services_come_up_healthy_and_stop_when_they_are_asked_to(host: Host, tmp_path: Path) -> None:
    replicas = int(SERVICES["worker"]["deploy"]["replicas"])
    with ExitStack() as running:
        running.enter_context(host.running("redis"))
        for _ in range(2):
            done = host.run("migrate", host.services["migrate"]["command"])
            assert done.returncode == 0, done.stderr
        workers = [running.enter_context(host.running("worker", n)) for n in range(1, replicas + 1)]
        others = [running.enter_context(host.running(name)) for name in ("flower", "metrics")]
        ready = until(lambda: (page := host.page("9808", "/readyz"))[0] == 200 and json.loads(page[1]))
        until(lambda: f'"{replicas} workers, a heartbeat went all the way"' in host.page("9808", "/readyz")[1])
        assert [check for check in ready["checks"] if check["state"] != "green"] == []
        until(lambda: all(host.is_healthy(name) for name in ("worker", "flower", "metrics")))
        assert [host.page("5555", "/workers", password=word)[0] for word in (None, "wrong", "fl0wer")] == [
            401,
            401,
            200,
        ]
        fields = ["slack_id=U0EXAMPLE01", "name=Ada", "discipline=po"]
        said = host.run(
            "metrics", ["onelane", "enqueue", "user.upsert", *fields, "--actor", "U0EXAMPLE09", "--wait", "20"]
        )
        assert said.returncode == 0, said.stderr
        until(lambda: "U0EXAMPLE01" in (tmp_path / "mirror" / "disciplines.json").read_text())
        for process in (*workers, *others):
            process.terminate()
        assert [worker.wait(60) for worker in workers] == [0] * replicas
        assert [other.wait(30) for other in others]

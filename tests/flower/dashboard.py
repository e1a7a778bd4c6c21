"""Flower, as a person with a browser or a script with the password sees it."""

import ast
import json
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode


@dataclass(frozen=True)
class Dashboard:
    """A running Flower; `password` of its one user."""

    url: str
    user: str
    password: str | None

    def get(self, path: str, **query: str) -> str:
        """A page."""
        return self._ask("GET", path, query)

    def json(self, path: str, **query: str) -> Any:
        """An answer of the API."""
        return json.loads(self.get(path, **query))

    def post(self, path: str) -> Any:
        """Press a button of the API."""
        return json.loads(self._ask("POST", path, {}))

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return self.get("/healthcheck") == "OK"
        except URLError:
            return False

    def online(self) -> set[str]:
        """The workers that it shows as online."""
        return {w["hostname"].split("@")[0] for w in self.json("/workers", json="1")["data"] if w["status"]}

    def heartbeats(self) -> dict[str, int]:
        """How many heartbeats it has heard of each worker."""
        return {w["hostname"]: w.get("worker-heartbeat", 0) for w in self.json("/workers", json="1")["data"]}

    def task(self, job_id: str) -> dict[str, Any]:
        """What it knows of one job; nothing while it doesn't know it."""
        found: dict[str, Any] = self.json("/api/tasks").get(job_id, {})
        return found

    def state(self, job_id: str) -> str | None:
        """The job's state in Celery's words."""
        return self.task(job_id).get("state")

    def kwargs(self, job_id: str) -> dict[str, Any]:
        """The job, as Flower shows it among a task's arguments."""
        found: dict[str, Any] = ast.literal_eval(self.task(job_id)["kwargs"])
        return found

    def code(self, path: str, password: str | None) -> int:
        """The status code that somebody with this password gets."""
        try:
            replace(self, password=password)._ask("GET", path, {})
        except HTTPError as error:
            return error.code
        return 200

    def _ask(self, method: str, path: str, query: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self.url}{path}?{urlencode(query)}", method=method)
        if self.password is not None:
            pair = b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())

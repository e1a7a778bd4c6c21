"""A receiver of replies, as Slack is one: a real HTTP server that can fail, hang, and limit the rate."""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, str, dict[str, str]]
"""An answer: status, body, headers."""

TAKEN: Said = (200, "ok", {})


@dataclass
class Receiver:
    """Keeps what it has taken, by path; `answers` are what it says first on a path, one after the other."""

    taken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    bodies: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, float]] = field(default_factory=list)
    """Each request's path and time, in order."""
    answers: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    hanging: set[str] = field(default_factory=set)
    """Paths that get no answer."""
    holding: dict[str, threading.Event] = field(default_factory=dict)
    """Paths that get their answers once this is set."""

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self._closing = threading.Event()

    def url(self, path: str) -> str:
        """The URL of a path."""
        return f"http://127.0.0.1:{self._server.server_port}/{path}"

    def times(self, path: str) -> list[float]:
        """When somebody asked on this path."""
        return [at for asked, at in self.asked if asked == path]

    def close(self) -> None:
        """Serve no more."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer_to(self, path: str, body: dict[str, Any]) -> Said | None:
        """What to say, None for nothing."""
        self.asked.append((path, time.monotonic()))
        if path in self.hanging:
            self._closing.wait()
            return None
        if path in self.holding:
            self.holding[path].wait()
        said = self.answers[path].pop(0) if self.answers[path] else TAKEN
        if said[0] == 200:
            self.bodies.append(body)
            self.taken[path].append(body["text"])
        return said


def _handler(receiver: Receiver) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            said = receiver.answer_to(self.path.removeprefix("/"), body)
            if said is None:
                return
            status, text, headers = said
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
            """Say nothing."""

    return Handler

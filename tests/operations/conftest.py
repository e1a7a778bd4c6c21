"""Settings on real services of a test's own, and a real HTTP receiver for what is sent to people."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from worker.settings import Settings


class Receiver:
    """An HTTP server that keeps what it is sent; `status` is its answer."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refused = 0
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.status == 200:
                    receiver.messages.append(json.loads(body))
                else:
                    receiver.refused += 1
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def titles(self) -> list[str]:
        """Of the messages, in the order of their arrival."""
        return [message["title"] for message in self.messages]

    @property
    def url(self) -> str:
        """As apprise wants it."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of alerts."""
    opened = Receiver()
    yield opened
    opened.close()


@pytest.fixture
def settings(redis_url: str, database_url: str, prefix: str, tmp_path: Path) -> Settings:
    """Settings for a partition and a database of this test's own."""
    return Settings(
        redis_url=redis_url,
        database_url=database_url,
        prefix=prefix,
        effects_stream=f"{prefix}:effects",
        data_dir=tmp_path,
    )

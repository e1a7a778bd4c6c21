"""Starts `onelane` in a few ms: a server that has loaded other people's packages forks a process for each command.

Most of the time of a short command goes into loading those. Nothing of ours is loaded before the fork, so each command
reads our modules, the job kinds and the settings by itself. Arguments: the path of the socket to listen on.
"""

import importlib
import json
import os
import runpy
import sys
import threading
import traceback
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from typing import Any

PACKAGES = ("celery.app", "kombu.transport.redis", "psycopg", "pydantic_settings", "redis", "rich.table", "typer")


class Handler(StreamRequestHandler):
    """Answers with the exit code of the command that was asked for, as subprocess gives it."""

    def handle(self) -> None:
        asked: dict[str, Any] = json.loads(self.rfile.readline())
        child = os.fork()
        if child == 0:
            become(**asked)
        _, status = os.waitpid(child, 0)
        self.wfile.write(str(os.waitstatus_to_exitcode(status)).encode())


class Server(ForkingMixIn, UnixStreamServer):
    """Forks a handler for each connection; ends with the process that has started it."""

    request_queue_size = 128
    parent = os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.parent:
            sys.exit()


def become(script: str, words: list[str], directory: str, environment: dict[str, str], streams: list[str]) -> None:
    """Run a script as a process of its own would, with files for its standard streams."""
    code = 1
    try:
        for number, (file, flag) in enumerate(zip(streams, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
            os.dup2(os.open(file, flag), number)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = [*filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *sys.path]
        sys.argv = [script, *words]
        runpy.run_path(script, run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - as at the end of a process
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined] # wait for its threads, as the end of a process does
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    for name in PACKAGES:
        importlib.import_module(name)
    with Server(sys.argv[1], Handler) as server:
        print("ready", flush=True)  # noqa: T201 - it listens now
        server.serve_forever()

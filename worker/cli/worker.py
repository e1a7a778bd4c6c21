"""`onelane worker`: one Celery worker with our settings, once it is sure that its services can be used."""

import os
import sys
from typing import Annotated

import typer

from worker import database
from worker.job import load_kinds
from worker.recipient import require_tellable
from worker.redis_client import redis_client, require_usable
from worker.settings import Settings
from worker.up import worker_command


def worker(
    name: Annotated[
        str, typer.Option("--name", "-n", help="Its name in Flower; %h is the host.", show_default=False)
    ] = "",
) -> None:
    """Run one worker in the foreground. For more, start more; SIGTERM lets it finish its batch.

    It is `celery -A worker.app worker`, after a check that Redis and the database can be used.
    """
    settings = Settings.load()
    require_tellable(settings)
    with redis_client(settings) as redis:
        require_usable(redis)
    database.require_usable(settings)
    load_kinds(settings.task_modules)
    named = name or f"onelane-{os.getpid()}"
    os.execv(sys.executable, worker_command(settings, named if "@" in named else f"{named}@%h"))  # noqa: S606 - no shell is wanted

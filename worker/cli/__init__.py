"""The command line `onelane`.

Exit codes: 0 done; 1 no, with a sentence that says why; 2 it can't be done as things are configured, or a wrong option.
"""

import logging
import os
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import Annotated

import typer
from redis.exceptions import RedisError

from worker.cli.commands import Overview
from worker.cli.output import FULL, complain, drop_output, say
from worker.cli.secrets import without_passwords
from worker.errors import ConfigurationError, OnelaneError

app = typer.Typer(cls=Overview, no_args_is_help=True, pretty_exceptions_enable=False)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if wanted:
        try:
            say(f"onelane {version_of('onelane')}")
        except PackageNotFoundError:
            say("onelane, from a directory that is not installed")
        raise typer.Exit


@app.callback()
def onelane(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Jobs on lanes: serialized writes to PostgreSQL through Redis and Celery."""


def main() -> None:
    """The entry point. Modules that ONELANE_TASKS names may lie in the current directory."""
    sys.path.append(os.getcwd())  # noqa: PTH109 - a string is wanted
    logging.getLogger("worker.alerts").addHandler(logging.NullHandler())  # what a command does, it says itself
    try:
        app(prog_name="onelane")
    except ConfigurationError as error:
        _fail(str(error), 2)
    except OnelaneError as error:
        _fail(str(error), 1)
    except RedisError as error:
        _fail(f"Redis can't be used ({type(error).__name__}: {error}).", 2)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            drop_output()
            _fail(f"The answer can't be written to its end ({error.strerror}).", 1)
        _fail_if_database(error)
        raise


def _fail_if_database(error: Exception) -> None:
    from psycopg import OperationalError  # noqa: PLC0415 - only a command that has failed needs it

    if isinstance(error, OperationalError):
        said = str(error).strip().splitlines() or [type(error).__name__]
        _fail(f"PostgreSQL can't be used ({said[0]}).", 2)


def _fail(sentence: str, code: int) -> None:
    complain(without_passwords(sentence))
    sys.exit(code)

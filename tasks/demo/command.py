"""`onelane demo`: the command. What it plays is loaded when it is called: the overview of commands stays light."""

import secrets
import signal
from types import FrameType
from typing import Annotated

import typer

ROUNDS = 300
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(
    *,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeat the day of this seed; another one each time unless given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=10, help="How long the day is: 16 intents a round.")] = ROUNDS,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it running at the end, with Flower, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Answer with JSON; the story goes to standard error.")
    ] = False,
) -> None:
    """See today's five kinds of error happen, and vanish, in under a minute.

    Eight bots write to a database of the bot's legacy shape as they do today.
    Then the same intents go through lanes, while a worker is killed, a table is
    locked, and poison lies in wait. SQL compares what everybody was told with
    what PostgreSQL really changed. Exit code 0 only if all of it holds.
    """
    from tasks.demo.show import show  # noqa: PLC0415 - only who plays it needs it

    for number in STOPPING:
        signal.signal(number, _interrupt_once)
    raise typer.Exit(show(secrets.randbelow(1_000_000) if seed is None else seed, rounds, keep=keep, as_json=as_json))


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """Interrupt what runs now; from here on all is cleaning up, and a second Ctrl-C can't hurry it."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt

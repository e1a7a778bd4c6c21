"""`python -m bench [--quick] [--only NAME]… [--json]`: print the table, exit 0 if every goal is met."""

import json
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import backlog, dead, drain, enqueue, idle, latency, watching
from bench.figure import Figure
from bench.stage import Stage, stage

BENCHMARKS: dict[str, Callable[[Stage], list[Figure]]] = {
    "drain": drain.measure,
    "enqueue": enqueue.measure,
    "latency": latency.measure,
    "backlog": backlog.measure,
    "idle": idle.measure,
    "watching": watching.measure,
    "dead": dead.measure,
}

progress = Console(stderr=True)


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Run this one alone: {', '.join(BENCHMARKS)}.")] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer rounds and smaller backlogs: a hint, no proof.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with JSON.")] = False,
) -> None:
    """Measure the engine against bare baselines on this machine."""
    for name in only or ():
        if name not in BENCHMARKS:
            raise typer.BadParameter(
                f"{name!r} is no benchmark; expected one of {', '.join(BENCHMARKS)}", param_hint="only"
            )
    figures: list[Figure] = []
    with stage(quick=quick) as ready:
        for name in only or BENCHMARKS:
            began = time.monotonic()
            with progress.status(f"{name} …"):
                figures += BENCHMARKS[name](ready)
            progress.print(f"{name}: {time.monotonic() - began:.0f} s", highlight=False)
    if as_json:
        typer.echo(json.dumps([figure.as_json() for figure in figures], indent=2))
    else:
        Console().print(_table(figures))
    raise typer.Exit(int(not all(figure.ok for figure in figures)))


def _table(figures: list[Figure]) -> Table:
    table = Table("work", "unit")
    for heading in ("ours", "baseline", "ratio", "goal"):
        table.add_column(heading, justify="right")
    table.add_column("ok")
    for figure in figures:
        numbers = [f"{number:,.0f}" if number >= 100 else f"{number:.2f}" for number in (figure.ours, figure.baseline)]
        sign = "≥" if figure.aim == "at least" else "≤"
        verdict = "[green]yes[/]" if figure.ok else "[red]no[/]"
        table.add_row(figure.work, figure.unit, *numbers, f"{figure.ratio:.2f}", f"{sign} {figure.goal:g}", verdict)
    return table


if __name__ == "__main__":
    typer.run(main)

"""`onelane dead export` and `onelane dead import`: dead letters as lines of JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.dead_act import end_of_look
from worker.cli.dead_filter import filtered, ledger
from worker.cli.operator import ME, Actor, Reason
from worker.cli.output import Json, complain, print_json, say
from worker.cli.progress import Advance, progress
from worker.cli.streams import read_from, size, write_to
from worker.dead_letters import Filter, count, export_lines, import_lines
from worker.dead_letters.outlook import unmet


@filtered()
def export(
    found: Filter,
    *,
    file: Annotated[Path, typer.Option(metavar="FILE", help="Where to; - is standard output.")] = Path("-"),
) -> None:
    """Write dead letters as lines of JSON, which `import` reads; they stay where they are."""
    written = 0
    with ledger(checked=True) as (_, connection), write_to(file) as out:
        missing = unmet(connection, found)
        with progress("Exporting", lambda: count(connection, found), hidden=out.isatty()) as advance:
            for line in export_lines(connection, found):
                out.write(line + "\n")
                written += 1
                advance(1)
    complain(f"{written:,} written.")
    end_of_look(found, missing, nothing=written == 0)


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Lines of JSON; - is standard input.")],
    *,
    actor: Actor = ME,
    reason: Reason = "imported",
    as_json: Json = False,
) -> None:
    """Read dead letters from lines that `export` wrote. Ids that are known here already are left as they are.

    Exit code 1 when a line is none; the good lines go.
    """
    with (
        ledger(checked=True) as (_, connection),
        read_from(file) as lines,
        progress("Importing", lambda: size(lines)) as advance,
    ):
        done = import_lines(connection, _watched(lines, advance), actor=actor, reason=reason)
    if as_json:
        print_json(asdict(done))
    else:
        say(f"{len(done.imported):,} are dead letters here now; {len(done.known):,} were known already.")
        for number, why in done.refused.items():
            complain(f"line {number}: {why}")
    raise typer.Exit(int(bool(done.refused)))


def _watched(lines: Iterable[bytes], advance: Advance) -> Iterator[bytes]:
    for line in lines:
        yield line
        advance(len(line))

"""The show: the performance with its story, its table at the end, and its exit code."""

import sys
import tempfile
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from tasks.demo.intents import Conflict
from tasks.demo.performance import Performance, Verdict, performance
from tasks.demo.story import Story
from worker.cli.output import PIPE_WIDTH, console, print_json
from worker.up import FLOWER_USER, Flower, announced

EXAMPLES = 3
INTERRUPTED = 130
LOOK_SECONDS = 0.2

HARM = {
    Conflict.DISCIPLINE: "refused with a duplicate-key error",
    Conflict.SPRINT: "overwritten by one of the same index",
    Conflict.STATE: "undone by a stale copy of the state",
    Conflict.AGAIN: "approval taken away in silence",
    Conflict.DECLINE: "“declined”, and still approved",
}
AUDIT = {"missing": "changes without an audit row", "false": "audit rows of changes that never were"}
PROMISES = {
    "errors": "errors",
    "duplicates": "duplicates",
    "lost_updates": "lost updates",
    "repeated": "repeated effects",
    "out_of_order": "out of order",
    "audit_mismatches": "audit mismatches",
}


def show(seed: int, rounds: int, *, keep: bool, as_json: bool) -> int:
    """Play the demo and tell of it; the exit code. Raises OnelaneError when it can't be played."""
    with Story(_console(as_json=as_json)) as story:
        return _perform(story, seed, rounds, keep=keep, as_json=as_json)


def _perform(story: Story, seed: int, rounds: int, *, keep: bool, as_json: bool) -> int:
    try:
        tempfile.gettempdir()  # looks for it by writing a file, which an interruption would leave behind
        story.chapter(f"A day of a team, twice (--seed {seed}), in a PostgreSQL and a Redis of its own")
        story.doing("starting them")
        with performance(story, seed, rounds) as play:
            flower = play.crew.start_flower() if keep else None
            verdict = play.play()
            story.end(None if as_json else _table(verdict))
            if as_json:
                print_json(verdict.as_json())
            for sentence in _conclusion(verdict):
                story.chapter(sentence)
            if flower is not None:
                _stay(play, story, flower)
    except KeyboardInterrupt:
        story.chapter("Stopped; nothing is left behind.")
        return INTERRUPTED
    return 0 if verdict.holds else 1


def _console(*, as_json: bool) -> Console:
    """Where the story goes: standard output belongs to the answer."""
    if not as_json:
        return console
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def _table(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what collides")
    table.add_column("and what becomes of it")
    table.add_column("today", justify="right", style="red")
    table.add_column("on lanes", justify="right", style="green")
    damage = verdict.damage
    rows = [(str(each), says, damage.harmed.get(each, 0), verdict.of(each)) for each, says in HARM.items()]
    rows += [("audit", AUDIT["missing"], damage.audit_missing, verdict.of("missing"))]
    rows += [("audit", AUDIT["false"], damage.audit_false, verdict.of("false"))]
    for what, says, today, lanes in rows:
        table.add_row(what, says, f"{today:,}", f"{lanes:,}")
    return table


def _conclusion(verdict: Verdict) -> Iterator[str]:
    jobs, faults = verdict.jobs, verdict.faults
    counted = ", ".join(f"{len(faults[promise])} {name}" for promise, name in PROMISES.items())
    yield f"On lanes, by SQL: {counted}."
    yield (
        f"{jobs['enqueued']:,} jobs at {verdict.per_second:,.0f}/s, the faults included: {jobs['applied']:,} applied, "
        f"{jobs['unchanged']:,} unchanged, {jobs['rejected']:,} rejected with a reason, {jobs['dead']:,} dead."
    )
    for promise, name in PROMISES.items():
        for fault in faults[promise][:EXAMPLES]:
            yield f"{name}: {fault.group}: {fault.thing} {fault.says}"
    if not verdict.collided:
        yield "Today's way did not show each of its conflicts, so this run proves nothing."
    yield f"{'All of it holds' if verdict.holds else 'It does NOT hold'} ({verdict.seconds:.0f} s)."


def _stay(play: Performance, story: Story, flower: Flower) -> None:
    password = "as in FLOWER_BASIC_AUTH" if flower.password is None else f"{FLOWER_USER} / {flower.password}"
    with announced(play.settings):
        story.chapter(f"Flower: {flower.url} ({password})")
        story.chapter(f"Other commands find it with ONELANE_DATA_DIR={play.settings.data_dir}; Ctrl-C ends it.")
        try:
            while True:
                play.crew.look_after()
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            story.chapter("Stopped; nothing is left behind.")

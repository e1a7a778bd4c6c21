"""`python -m bench.adoption`: what `onelane migrate up` costs a large, dirty database, beside a bare `ALTER`.

Both start from the bot's first schema with 1,000,000 audit rows and 200,000 overrides, some of them twice, on a server
with every fsync on. "Bare" is what a hand would write: one transaction a table that deletes the duplicates and adds the
constraints at once. A watcher reads `pg_locks` without a pause and notes how long each table was closed, to writers
(any lock that stops an INSERT) and to readers too; its own pace is printed, as no interval is measured finer than that.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from tests.migrations.shapes import build
from worker.embedded import start_postgres
from worker.embedded.postgres import RunningPostgres
from worker.migrate import Done, migrate, verify

AUDIT_ROWS = 1_000_000
OVERRIDE_ROWS = 200_000
TWICE = 500
SPRINTS = 400
PEOPLE = 2_000
TABLES = ("sprints", "users", "current_state", "overrides", "audit_logs")

FILL = """
INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)
    SELECT 'Sp' || n, date '2030-01-02' + n * 14, date '2030-01-16' + n * 14, n
    FROM generate_series(0, %(sprints)s - 1) AS n;
INSERT INTO users (slack_id, name, discipline)
    SELECT 'U' || n, 'Person ' || n, (ARRAY['account', 'producer', 'po', 'uiEng', 'beEng'])[n %% 5 + 1]
    FROM generate_series(1, %(people)s) AS n;
INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id, approved, created_at)
    SELECT n %% %(sprints)s, (ARRAY['account', 'producer', 'po', 'uiEng', 'beEng'])[n %% 5 + 1], 'U' || n %% 1999,
        'R' || n, n %% 3 = 0, timestamp '2030-01-01' + n * interval '1 second'
    FROM generate_series(1, %(overrides)s) AS n;
INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id, approved)
    SELECT sprint_index, role, requested_by, replacement_slack_id, false FROM overrides LIMIT %(twice)s;
INSERT INTO audit_logs (table_name, record_id, operation, new_values, changed_by, changed_at, reason)
    SELECT 'overrides', n, 'UPDATE', jsonb_build_object('id', n, 'role', 'po', 'approved', true), 'U' || n %% 1999,
        timestamp '2030-01-01' + n * interval '1 second', 'Override approved'
    FROM generate_series(1, %(audits)s) AS n;
"""

BARE = {
    "users": """
        ALTER TABLE users ADD COLUMN active boolean NOT NULL DEFAULT true;
        ALTER TABLE users DROP CONSTRAINT users_slack_id_key;
        ALTER TABLE users ADD CONSTRAINT users_slack_discipline_unique UNIQUE (slack_id, discipline)""",
    "overrides": """
        DELETE FROM overrides a USING overrides b WHERE a.id > b.id AND a.sprint_index = b.sprint_index
            AND a.role = b.role AND a.requested_by = b.requested_by
            AND a.replacement_slack_id = b.replacement_slack_id;
        ALTER TABLE overrides ADD CONSTRAINT overrides_unique_request
            UNIQUE (sprint_index, role, requested_by, replacement_slack_id);
        ALTER TABLE overrides ADD CONSTRAINT overrides_sprint_index_fkey
            FOREIGN KEY (sprint_index) REFERENCES sprints(sprint_index)""",
    "audit_logs": """
        ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_operation_check;
        ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_operation_check
            CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'UPSERT'))""",
}
"""A transaction a table; the others need none."""

HELD = """
SELECT c.relname, bool_or(l.mode = 'AccessExclusiveLock') AS from_readers
FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relname = ANY(%s)
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
GROUP BY c.relname
"""


@dataclass
class Closed:
    """How long tables were closed without a break, in seconds: the longest time of each."""

    to_writers: dict[str, float] = field(default_factory=dict)
    to_readers: dict[str, float] = field(default_factory=dict)
    pace: float = 0.0
    """The longest time between two looks."""


@contextmanager
def watch(url: str) -> Iterator[Closed]:
    """Look at the locks of all others until the block ends."""
    closed, ended = Closed(), threading.Event()
    watcher = threading.Thread(target=_look, args=(url, closed, ended))
    watcher.start()
    try:
        yield closed
    finally:
        ended.set()
        watcher.join()


def _look(url: str, closed: Closed, ended: threading.Event) -> None:
    since: dict[tuple[str, bool], float] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        last = time.monotonic()
        while not ended.is_set():
            rows = connection.execute(HELD, [list(TABLES)]).fetchall()
            held = {(table, False) for table, _ in rows} | {
                (table, True) for table, from_readers in rows if from_readers
            }
            now = time.monotonic()
            closed.pace, last = max(closed.pace, now - last), now
            since = {lock: since.get(lock, now) for lock in held}
            for (table, from_readers), began in since.items():
                longest = closed.to_readers if from_readers else closed.to_writers
                longest[table] = max(longest.get(table, 0.0), now - began)


@dataclass
class Run:
    """One way of doing it."""

    closed: Closed
    seconds: dict[str, float]
    """By step, or by table."""

    def cells(self, table: str) -> list[str]:
        """Longest time closed to readers and to writers; blank where it never was."""
        return [_milliseconds(found.get(table)) for found in (self.closed.to_readers, self.closed.to_writers)]


def ours(url: str) -> Run:
    """`onelane migrate up`, without its backup."""
    seconds: dict[str, float] = {}

    def note(done: Done) -> None:
        seconds[done.step] = done.seconds

    with watch(url) as closed:
        migrate(url, note)
    assert verify(url) == []
    return Run(closed, seconds)


def bare(url: str) -> Run:
    """By hand, a transaction a table."""
    seconds: dict[str, float] = {}
    with watch(url) as closed, psycopg.connect(url, autocommit=True) as connection:
        for table, statements in BARE.items():
            began = time.monotonic()
            with connection.transaction():
                connection.execute(statements)
            seconds[table] = time.monotonic() - began
    return Run(closed, seconds)


def measure(server: RunningPostgres, work: Callable[[str], Run], size: dict[str, int]) -> Run:
    """Do it on a filled database of its own, in the state that autovacuum keeps one in."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {work.__name__}")
    url = server.url_of(work.__name__)
    build(url, "S1")
    with psycopg.connect(url, autocommit=True) as connection:
        psycopg.ClientCursor(connection).execute(FILL, size)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return work(url)


def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A hundredth of the rows: a hint, no proof.")] = False,
) -> None:
    """Measure how long the adoption closes each table, beside a bare ALTER."""
    share = 100 if quick else 1
    size = {"sprints": SPRINTS, "people": PEOPLE, "overrides": OVERRIDE_ROWS // share}
    size |= {"audits": AUDIT_ROWS // share, "twice": TWICE // share}
    with tempfile.TemporaryDirectory(prefix="onelane-bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL may run as another user, below it
        with start_postgres(Path(folder, "postgres")) as server:
            by_hand, adopted = (measure(server, work, size) for work in (bare, ours))
    console = Console()
    console.print(_locks(by_hand, adopted, size))
    console.print(_steps(adopted))
    console.print(f"bare: {sum(by_hand.seconds.values()):.2f} s in all; the watcher looked at least every", end=" ")
    console.print(f"{max(by_hand.closed.pace, adopted.closed.pace) * 1000:.0f} ms")


def _locks(by_hand: Run, adopted: Run, size: dict[str, int]) -> Table:
    rows = {"sprints": size["sprints"], "users": size["people"], "current_state": 1}
    rows |= {"overrides": size["overrides"] + size["twice"], "audit_logs": size["audits"]}
    table = Table("table", title="Longest time closed, ms")
    for heading in ("rows", "to readers: up", "bare", "to writers: up", "bare"):
        table.add_column(heading, justify="right")
    for name in TABLES:
        (up_readers, up_writers), (bare_readers, bare_writers) = adopted.cells(name), by_hand.cells(name)
        table.add_row(name, f"{rows[name]:,}", up_readers, bare_readers, up_writers, bare_writers)
    return table


def _steps(adopted: Run) -> Table:
    table = Table("step of up")
    table.add_column("seconds", justify="right")
    for step, seconds in adopted.seconds.items():
        table.add_row(step, f"{seconds:.2f}")
    table.add_row("in all", f"{sum(adopted.seconds.values()):.2f}")
    return table


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.0f}"


if __name__ == "__main__":
    typer.run(main)

"""Job kinds for the tests of the command line. `onelane up` loads a copy of this file, as a user's module of job kinds.

What is applied twice shows twice: each job adds a row.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from worker import Job

TABLES = """
CREATE TABLE stamps (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, page text NOT NULL, text text NOT NULL);
CREATE TABLE unstuck (page text PRIMARY KEY);
CREATE FUNCTION dawdle(of_page text, seconds float) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + seconds * interval '1 s';
BEGIN
    WHILE clock_timestamp() < deadline AND NOT EXISTS (SELECT FROM unstuck WHERE page = of_page) LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;
"""

WRITE = """
WITH jobs AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, page text, text text, seconds float)
), slept AS MATERIALIZED (
    SELECT dawdle(page, seconds) FROM jobs WHERE seconds > 0
), written AS (
    INSERT INTO stamps (page, text) SELECT page, text FROM jobs, (SELECT count(*) FROM slept) AS s ORDER BY _n
)
SELECT _n, 'applied', 'stamped', NULL::jsonb, to_jsonb(text), NULL::jsonb FROM jobs
"""


class OnPage(Job):
    """A job of one page."""

    page: str
    text: str

    def lane(self) -> str:
        """The page's lane."""
        return f"page:{self.page}"


class Stamp(OnPage, kind="stamp.write"):
    """Stamps a text; the other fields are of all types."""

    number: int | None = None
    urgent: bool = False
    tags: list[str] = []
    size: dict[str, int] | None = None
    sql = WRITE
    messages: ClassVar = {"stamped": "{actor} stamped {text} on {page}."}


class SlowStamp(OnPage, kind="stamp.slow"):
    """Stamps after so many seconds, or when its page is unstuck."""

    seconds: float
    sql = WRITE
    messages: ClassVar = {"stamped": "Stamped {text} on {page}, slowly."}


class StuckStamp(OnPage, kind="stamp.stuck"):
    """Fails until its page is unstuck."""

    max_attempts: ClassVar = 1000
    messages: ClassVar = {"stamped": "Stamped {text} on {page} at last."}

    @staticmethod
    def apply(connection: Any, jobs: list[dict[str, Any]], context: dict[str, Any]) -> Iterable[tuple[Any, ...]]:  # noqa: ARG004 - a kind's signature
        """Write, or fail."""
        for job in jobs:
            if connection.execute("SELECT FROM unstuck WHERE page = %s", [job["page"]]).fetchone() is None:
                raise RuntimeError(f"{job['page']} is stuck")
            connection.execute("INSERT INTO stamps (page, text) VALUES (%s, %s)", [job["page"], job["text"]])
        return [(job["_n"], "applied", "stamped", None, None, None) for job in jobs]


def make_tables(url: str) -> None:
    """Make the tables of these kinds."""
    import psycopg  # noqa: PLC0415 - `onelane enqueue` loads this file, and is to stay light

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)

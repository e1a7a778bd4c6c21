"""Job kinds for tests, on tables of their own. Nothing about them is idempotent: what is applied twice shows twice.

`notebook.write` adds a line to a page. A text may be made faulty: then its statement fails with a given SQLSTATE, the
first so many times; a sequence counts, which no rollback turns back.
"""

import os
import signal
from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import uuid4

import psycopg
from psycopg import sql

from worker import Job

TABLES = """
CREATE TABLE pages (page text PRIMARY KEY, lines integer NOT NULL, last text NOT NULL);
CREATE TABLE lines (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, page text NOT NULL, text text NOT NULL, job text NOT NULL
);
CREATE TABLE audit (
    n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, page text NOT NULL, before jsonb, after jsonb NOT NULL,
    job text NOT NULL
);
CREATE TABLE faults (text text PRIMARY KEY, sqlstate text NOT NULL, times bigint NOT NULL, tries text NOT NULL);
CREATE TABLE seals (page text REFERENCES pages DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION fail_if_faulty(said text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE fault faults;
BEGIN
    SELECT * INTO fault FROM faults WHERE faults.text = said;
    IF fault.text IS NOT NULL AND nextval(fault.tries::regclass) <= fault.times THEN
        RAISE EXCEPTION USING ERRCODE = fault.sqlstate, MESSAGE = 'the text is faulty: ' || said;
    END IF;
    RETURN false;
END
$$;
"""

WRITE = """
WITH jobs AS MATERIALIZED (
    SELECT _n, _job, page, text, fail_if_faulty(text)
    FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, page text, text text)
), before AS MATERIALIZED (
    SELECT page, to_jsonb(p) AS row FROM pages AS p JOIN jobs USING (page) FOR UPDATE OF p
), written AS (
    INSERT INTO lines (page, text, job) SELECT page, text, _job FROM jobs ORDER BY _n
), saved AS (
    INSERT INTO pages AS p (page, lines, last) SELECT page, 1, text FROM jobs LEFT JOIN before USING (page)
    ON CONFLICT (page) DO UPDATE SET lines = p.lines + 1, last = excluded.last
    RETURNING p.page, to_jsonb(p) AS row
), audited AS (
    INSERT INTO audit (page, before, after, job)
    SELECT page, before.row, saved.row, _job FROM jobs JOIN saved USING (page) LEFT JOIN before USING (page)
)
SELECT _n, 'applied', 'written', before.row, saved.row, NULL::jsonb
FROM jobs JOIN saved USING (page) LEFT JOIN before USING (page)
"""


class OnPage(Job):
    """A job of one page."""

    page: str

    def lane(self) -> str:
        """The page's lane."""
        return f"page:{self.page}"


class Write(OnPage, kind="notebook.write"):
    """Adds a line to a page."""

    text: str
    sql = WRITE
    messages: ClassVar = {"written": "{actor} wrote {text} on {page}."}


class Engrave(OnPage, kind="notebook.engrave"):
    """Adds a line, in a lane that stops at a dead letter."""

    text: str
    sql = WRITE
    after_dead: ClassVar = "hold"
    max_attempts: ClassVar = 2


class Copy(OnPage, kind="notebook.copy"):
    """Adds the last line of another page, which may still have to be written."""

    other: str
    sql = """
        WITH jobs AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, page text, other text)
        ), copied AS (
            INSERT INTO lines (page, text, job)
            SELECT j.page, p.last, _job FROM jobs AS j JOIN pages AS p ON p.page = j.other RETURNING page
        )
        SELECT _n, CASE WHEN c.page IS NULL THEN 'wait' ELSE 'applied' END,
            CASE WHEN c.page IS NULL THEN 'no_such_page' ELSE 'copied' END, NULL::jsonb, NULL::jsonb, NULL::jsonb
        FROM jobs LEFT JOIN copied AS c USING (page)
    """
    messages: ClassVar = {"no_such_page": "There is no page {other}."}


class Redraw(OnPage, kind="notebook.redraw"):
    """Adds a line; equal ones that wait behind each other are one."""

    merge: ClassVar = True
    sql = """
        WITH jobs AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, page text)
        ), drawn AS (
            INSERT INTO lines (page, text, job) SELECT page, 'drawn', _job FROM jobs
        )
        SELECT _n, 'applied', 'drawn', NULL::jsonb, NULL::jsonb, NULL::jsonb FROM jobs
    """


class Tell(OnPage, kind="notebook.tell"):
    """Adds a line, leaves a follow-up job for another page and an effect."""

    text: str
    other: str
    sql = """
        WITH jobs AS MATERIALIZED (
            SELECT _n, _job, page, text, other, fail_if_faulty(text)
            FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, _job text, page text, text text, other text)
        ), written AS (
            INSERT INTO lines (page, text, job) SELECT page, text, _job FROM jobs ORDER BY _n
        ), told AS (
            INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
            SELECT 'job', 'notebook.write', jsonb_build_object('page', other, 'text', text), 'U0FOLLOW', _job
            FROM jobs ORDER BY _n
        ), seen AS (
            INSERT INTO onelane.outbox (topic, kind, payload, actor, cause)
            SELECT 'effect', 'told', jsonb_build_object('text', text), 'U0FOLLOW', _job FROM jobs ORDER BY _n
        )
        SELECT _n, 'applied', 'told', NULL::jsonb, NULL::jsonb, NULL::jsonb FROM jobs
    """


class Seal(OnPage, kind="notebook.seal"):
    """Refers to another page by a constraint that is checked at the commit only."""

    other: str
    sql = """
        WITH jobs AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, other text)
        ), sealed AS (INSERT INTO seals (page) SELECT other FROM jobs)
        SELECT _n, 'applied', 'sealed', NULL::jsonb, NULL::jsonb, NULL::jsonb FROM jobs
    """


class Harm(OnPage, kind="notebook.harm"):
    """Does harm to the worker, by its own Python code."""

    how: str

    @staticmethod
    def apply(_connection: psycopg.Connection, jobs: list[dict[str, Any]], _context: dict[str, Any]) -> Iterable[Any]:
        """Kill the worker, or raise an error that nobody foresaw."""
        if jobs[0]["how"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyError(jobs[0]["how"])


class Forgetful(OnPage, kind="notebook.forgetful"):
    """A kind whose statement leaves its jobs without an answer."""

    sql = "SELECT 0, 'applied', 'none', NULL::jsonb, NULL::jsonb, NULL::jsonb WHERE %(jobs)s = %(context)s"


def make_tables(url: str) -> None:
    """Make the tables of these kinds."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES)


def make_faulty(connection: psycopg.Connection, text: str, sqlstate: str, times: int = 1_000_000) -> None:
    """Statements that write this text fail, the first `times` times."""
    tries = f"tries_{uuid4().hex}"
    connection.execute(sql.SQL("CREATE SEQUENCE {}").format(sql.Identifier(tries)))
    connection.execute("INSERT INTO faults VALUES (%s, %s, %s, %s)", [text, sqlstate, times, tries])


def tries_of(connection: psycopg.Connection, text: str) -> int:
    """How often a faulty text was tried."""
    (name,) = connection.execute("SELECT tries FROM faults WHERE text = %s", [text]).fetchone() or ("",)
    (last, called) = connection.execute(
        sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(name))
    ).fetchone() or (0, False)
    return int(last) if called else 0


def mend(connection: psycopg.Connection, text: str) -> None:
    """The text is faulty no more."""
    connection.execute("UPDATE faults SET times = 0 WHERE text = %s", [text])

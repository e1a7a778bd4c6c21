"""Job kinds that go wrong, each in its own way."""

from typing import Any

import psycopg

from worker.job import Job

MAKE = """
    CREATE TABLE numbers (number integer PRIMARY KEY CONSTRAINT numbers_are_positive CHECK (number > 0));
    CREATE SEQUENCE tries;
    CREATE FUNCTION fail_twice() RETURNS text LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('tries') < 3 THEN
            RAISE EXCEPTION 'not now' USING errcode = '40001';
        END IF;
        RETURN 'ok';
    END $$;
"""

SAVE = """
    WITH jobs AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, number integer)
    ), saved AS (
        INSERT INTO numbers SELECT number FROM jobs ON CONFLICT DO NOTHING RETURNING number
    )
    SELECT _n, CASE WHEN s.number IS NULL THEN 'unchanged' ELSE 'applied' END, 'saved',
        NULL::jsonb, NULL::jsonb, NULL::jsonb
    FROM jobs LEFT JOIN saved AS s USING (number)
"""

FAIL_TWICE = """
    WITH jobs AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer)
    )
    SELECT _n, 'applied', fail_twice(), NULL::jsonb, NULL::jsonb, NULL::jsonb FROM jobs
"""


class Save(Job, kind="number.save"):
    """Saves a number; one that is not positive is refused by a constraint."""

    number: int
    sql = SAVE

    def lane(self) -> str:
        """A lane for each number."""
        return f"number:{self.number}"


class SaveOrHold(Save, kind="number.save_or_hold"):
    """The same, but its lane is held after a dead letter."""

    after_dead = "hold"


class FailTwice(Job, kind="number.fail_twice"):
    """Fails twice, then succeeds."""

    sql = FAIL_TWICE

    def lane(self) -> str:
        """One lane."""
        return "fail_twice"


def make_tables(connection: psycopg.Connection[Any]) -> None:
    """What these kinds need."""
    connection.execute(MAKE)

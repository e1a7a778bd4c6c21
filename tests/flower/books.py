"""A library: books are lent, to one person at a time."""

from typing import ClassVar

from worker import Job

TABLES = """
    CREATE TABLE loans (book text PRIMARY KEY CONSTRAINT books_have_titles CHECK (book <> 'untitled'), person text);
    CREATE TABLE sought (book text PRIMARY KEY);
    CREATE FUNCTION look_for(wanted text) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        WHILE EXISTS (SELECT FROM sought WHERE book = wanted) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
        RETURN true;
    END $$;
"""

LEND = """
    WITH jobs AS MATERIALIZED (
        SELECT _n, book, person, look_for(book)
        FROM jsonb_to_recordset(%(jobs)s::jsonb) AS j (_n integer, book text, person text)
    ), before AS MATERIALIZED (
        SELECT l.book, l.person FROM loans AS l JOIN jobs USING (book) FOR UPDATE OF l
    ), lent AS (
        INSERT INTO loans SELECT book, person FROM jobs ON CONFLICT DO NOTHING RETURNING book
    )
    SELECT _n,
        CASE WHEN b.person IS NULL THEN 'applied' WHEN b.person = j.person THEN 'unchanged' ELSE 'rejected' END,
        CASE WHEN b.person IS NULL THEN 'lent' WHEN b.person = j.person THEN 'has_it' ELSE 'lent_to_another' END,
        NULL::jsonb, NULL::jsonb, NULL::jsonb
    FROM jobs AS j LEFT JOIN before AS b USING (book)
"""


class Lend(Job, kind="book.lend"):
    """Lends a book, unless somebody else has it; one that is sought for takes as long as that."""

    book: str
    person: str
    sql = LEND
    messages: ClassVar = {"lent_to_another": "{book} is lent to somebody else."}

    def lane(self) -> str:
        """The book's lane."""
        return f"book:{self.book}"

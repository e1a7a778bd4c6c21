"""Fills a database of any shape with rows, and with every kind of dirt that this shape lets in."""

# ruff: noqa: S608, ISC004 - lists of SQL statements, made of our own names and numbers

import random

import psycopg

ROLES = ("account", "producer", "po", "uiEng", "beEng")


def fill(url: str, seed: int, size: int = 400) -> None:
    """Clean rows first, then dirt, each kind in a transaction of its own: a shape that refuses it stays without."""
    dice = random.Random(seed)
    with psycopg.connect(url, autocommit=True) as connection:
        _clean(connection, dice, size)
        for statement in _dirt(dice):
            try:
                connection.execute(statement)
            except psycopg.errors.IntegrityError:
                continue


def _clean(connection: psycopg.Connection, dice: random.Random, size: int) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO users (slack_id, name, discipline) VALUES (%s, %s, %s)",
            [(f"U{n:06}", f"Person {dice.randrange(size)}", dice.choice(ROLES)) for n in range(size)],
        )
        cursor.executemany(
            "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
            " VALUES (%s, date '2030-01-02' + %s, date '2030-01-16' + %s, %s)",
            [(f"FY30 Sp{n}", n * 14, n * 14, n) for n in range(size // 4)],
        )
        slots = {
            (
                dice.randrange(size // 4),
                dice.choice(ROLES),
                f"U{dice.randrange(size):06}",
                f"U{dice.randrange(size):06}",
            )
            for _ in range(size * 3)
        }
        cursor.executemany(
            "INSERT INTO overrides (sprint_index, role, requested_by, replacement_slack_id, replacement_name, approved,"
            " created_at) VALUES (%s, %s, %s, %s, %s, %s, timestamp '2030-01-01' + %s * interval '1 minute')",
            [(*slot, f"Name {n}", dice.choice((True, False, None)), n) for n, slot in enumerate(sorted(slots))],
        )
        cursor.executemany(
            "INSERT INTO audit_logs (table_name, record_id, operation, new_values, changed_by)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                ("overrides", n, dice.choice(("INSERT", "UPDATE", "DELETE")), '{"n": 1}', f"U{n % size:06}")
                for n in range(size * 3)
            ],
        )
        cursor.execute("INSERT INTO current_state (id) VALUES (1) ON CONFLICT (id) DO NOTHING")
        cursor.execute("UPDATE current_state SET sprint_index = 3, po_slack_id = 'U000001' WHERE id = 1")


def _dirt(dice: random.Random) -> list[str]:
    """Every kind; which of them a shape refuses is the shape's matter."""
    again = "overrides (sprint_index, role, requested_by, replacement_slack_id, approved, created_at)"
    picks = [dice.randrange(300) for _ in range(40)]
    return [
        "INSERT INTO users (slack_id, name, discipline) VALUES ('test_user_123', 'Test', 'po')",
        "INSERT INTO users (slack_id, name, discipline) VALUES ('U0ODD', 'Odd', 'qa'), ('U0ODD2', 'Odd', 'Design')",
        "INSERT INTO users (slack_id, name, discipline) VALUES ('  ', 'Blank', 'po')",
        "INSERT INTO users (slack_id, name, discipline) VALUES ('U0BLANK', ' ', 'po')",
        "INSERT INTO users (slack_id, name, discipline)"
        " SELECT slack_id, name || ' again', discipline FROM users WHERE id < 50",
        "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
        " SELECT 'twin', start_date, end_date, sprint_index FROM sprints WHERE sprint_index < 9",
        "INSERT INTO sprints (sprint_name, start_date, end_date, sprint_index)"
        " VALUES ('', '2040-01-01', '2040-01-14', 900), ('Backwards', '2040-02-14', '2040-02-01', 901)",
        *(
            f"INSERT INTO {again} SELECT sprint_index, role, requested_by, replacement_slack_id, {approved},"
            f" created_at + interval '1 day' FROM overrides WHERE id = {pick}"
            for pick in picks
            for approved in ("true", "false")
        ),
        f"INSERT INTO {again} VALUES (5000, 'po', 'U000001', 'U000002', true, '2030-01-01')",
        f"INSERT INTO {again} VALUES (5001, 'po', 'U000003', 'U000004', NULL, '2030-01-01')",
        f"INSERT INTO {again} VALUES (1, 'qa', 'U000001', 'U000002', true, '2030-01-01')",
        f"INSERT INTO {again} VALUES (1, 'po', '', 'U000002', true, '2030-01-01')",
        "UPDATE overrides SET replacement_name = '', approved_by = ' ' WHERE id IN (10, 20)",
        "INSERT INTO current_state (id, sprint_index) VALUES (2, 4), (7, NULL)",
        "UPDATE current_state SET be_eng_slack_id = '' WHERE id = 1",
        "UPDATE current_state SET sprint_index = 777 WHERE id = 1",
        "INSERT INTO audit_logs (table_name, operation)"
        " VALUES ('users', 'UPSERT'), ('users', 'SELECT'), ('x', 'upsert')",
    ]


BY_HAND = """
ALTER TABLE users ALTER name TYPE varchar(300), ALTER slack_id TYPE text;
ALTER TABLE overrides ALTER approved_by TYPE text, ALTER replacement_name TYPE text;
ALTER TABLE audit_logs ALTER changed_by TYPE text;
INSERT INTO users (slack_id, name, discipline)
    VALUES ('U0LONG', repeat('n', 150), 'po'), (repeat('U', 60), 'x', 'po');
UPDATE overrides SET approved_by = repeat('U', 51), replacement_name = repeat('n', 101) WHERE id IN (30, 40);
INSERT INTO audit_logs (table_name, operation, changed_by) VALUES ('users', 'UPDATE', repeat('U', 51));
"""
"""What somebody may have done to a database by hand: columns widened, over-long values in."""

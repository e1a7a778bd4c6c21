"""`verify`: each departure from the final catalog and from the data rules is found and named."""

import pytest

from tests.migrations.snapshot import execute
from worker.errors import ConfigurationError
from worker.migrate import down, verify

SAID = {
    "DROP TABLE admin_channel_membership": "The table admin_channel_membership is missing.",
    "ALTER TABLE overrides DROP COLUMN approved_by": "overrides: the column approved_by is missing.",
    "ALTER TABLE users ALTER name TYPE text": "users: name is text, expected varchar(100).",
    "ALTER TABLE users ALTER name DROP NOT NULL": "users: name must not be nullable.",
    "ALTER TABLE overrides ALTER approved DROP DEFAULT": "overrides: approved has no default.",
    "ALTER TABLE users DROP CONSTRAINT users_pkey": "users: the primary key (id) is missing.",
    "ALTER TABLE users DROP CONSTRAINT users_slack_discipline_unique": (
        "users: the constraint users_slack_discipline_unique is missing."
    ),
    "ALTER TABLE users ADD CONSTRAINT users_slack_id_key UNIQUE (slack_id)": (
        "users: the constraint users_slack_id_key should not be there."
    ),
    "CREATE UNIQUE INDEX users_slack_id_key ON users (slack_id)": (
        "users: the index users_slack_id_key should not be there."
    ),
    "CREATE INDEX twice ON overrides (sprint_index, role)": "overrides: the index twice should not be there.",
    "DROP INDEX idx_sprints_dates": "sprints: the index idx_sprints_dates is missing.",
    "DROP INDEX idx_sprints_dates; CREATE INDEX idx_sprints_dates ON sprints (end_date)": (
        "sprints: the index idx_sprints_dates should not be there."
    ),
    "ALTER TABLE current_state DROP CONSTRAINT unique_current_state": (
        "current_state: the constraint unique_current_state is missing."
    ),
    "ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_operation_check, ADD CONSTRAINT audit_logs_operation_check"
    " CHECK (operation <> '')": (
        "audit_logs: audit_logs_operation_check is CHECK (((operation)::text <> ''::text)),"
        " expected CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'UPSERT'))."
    ),
    "ALTER TABLE users DROP CONSTRAINT users_discipline_check, ADD CONSTRAINT users_discipline_check"
    " CHECK (discipline IN ('account', 'producer', 'po', 'uiEng', 'beEng')) NOT VALID": (
        "users: users_discipline_check is not validated."
    ),
    "DROP TRIGGER update_users_updated_at ON users": (
        "users: the trigger update_users_updated_at is missing, switched off or another one."
    ),
    "ALTER TABLE users DISABLE TRIGGER update_users_updated_at": (
        "users: the trigger update_users_updated_at is missing, switched off or another one."
    ),
    "INSERT INTO users (id, slack_id, name, discipline) VALUES (1, 'U1', 'Ann', 'po')": (
        "users: its sequence lags behind its ids."
    ),
    "INSERT INTO users (slack_id, name, discipline) VALUES ('test_user_123', 'Test', 'po')": (
        "users: leftover test_user_123: 1 row(s)."
    ),
    "INSERT INTO users (slack_id, name, discipline) VALUES ('U1', ' ', 'po'), ('U2', '', 'po')": (
        "users: blank name: 2 row(s)."
    ),
}


@pytest.mark.parametrize("statement", SAID)
def test_a_departure_is_named(statement: str, database_url: str) -> None:
    """One sentence, and only that; none before."""
    assert verify(database_url) == []
    execute(database_url, statement)
    assert verify(database_url) == [SAID[statement]]


def test_another_trigger_function_is_found(database_url: str) -> None:
    """The triggers are there but do something else."""
    execute(
        database_url,
        "CREATE OR REPLACE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RETURN NEW; END'",
    )
    assert verify(database_url) == [
        f"{table}: the function of update_{table}_updated_at is another one."
        for table in ("sprints", "users", "current_state", "overrides")
    ]


def test_an_index_of_somebodys_own_is_none_of_our_business(database_url: str) -> None:
    """It is neither unique nor a repetition."""
    execute(database_url, "CREATE INDEX by_name ON users (name)")
    assert verify(database_url) == []


def test_a_step_that_is_missing_is_no_departure_but_a_refusal(database_url: str) -> None:
    """There is nothing to prove yet."""
    down(database_url)
    with pytest.raises(ConfigurationError, match=r"lacks the migration .*: run `onelane migrate up`"):
        verify(database_url)

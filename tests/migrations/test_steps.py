"""Steps as files, and as the modules of job kinds bring them."""

from pathlib import Path

import pytest

from tests.migrations.snapshot import schemas_of
from worker.errors import ConfigurationError
from worker.migrate import check, down, lockdown, migrate, status, unlock, verify
from worker.migrate.plan import Plan
from worker.migrate.step import in_order, sql_steps

ENGINE_ALONE = ["worker.heartbeat"]


def write(folder: Path, *names: str) -> None:
    """Files with a statement each."""
    for name in names:
        (folder / name).write_text("SELECT 1")


def test_steps_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Other files are none of theirs."""
    write(
        tmp_path, "0002_b.sql", "0002_b.rollback.sql", "0001_a.sql", "0001_a.rollback.sql", "0001_a.lost.sql", "x.txt"
    )
    assert [step.name for step in sql_steps(tmp_path)] == ["0001_a", "0002_b"]


@pytest.mark.parametrize("name", ["1_a.sql", "0001_A.sql", "0001.sql", "a.sql"])
def test_a_step_with_a_bad_name_is_refused(name: str, tmp_path: Path) -> None:
    """With the form that is expected."""
    write(tmp_path, name, name.replace(".sql", ".rollback.sql"))
    with pytest.raises(ConfigurationError, match="a step is named NNNN_title"):
        sql_steps(tmp_path)


def test_a_step_without_a_way_back_is_refused(tmp_path: Path) -> None:
    """The missing file is named."""
    write(tmp_path, "0001_a.sql")
    with pytest.raises(ConfigurationError, match=r"0001_a\.sql: its 0001_a\.rollback\.sql is missing"):
        sql_steps(tmp_path)


def test_two_steps_of_one_name_are_refused(tmp_path: Path) -> None:
    """A domain's and the engine's."""
    write(tmp_path, "0001_a.sql", "0001_a.rollback.sql")
    with pytest.raises(ConfigurationError, match="Two migration steps are named 0001_a"):
        in_order([*sql_steps(tmp_path), *sql_steps(tmp_path)])


def test_a_checksum_is_of_what_the_step_does(tmp_path: Path) -> None:
    """Another text is another step; names and checksums of all real steps are unique."""
    write(tmp_path, "0001_a.sql", "0001_a.rollback.sql")
    [before] = sql_steps(tmp_path)
    (tmp_path / "0001_a.sql").write_text("SELECT 2")
    [after] = sql_steps(tmp_path)
    assert before.checksum != after.checksum
    steps = Plan(["tasks"]).steps
    assert len({step.name for step in steps}) == len({step.checksum for step in steps}) == len(steps)


def test_a_module_that_can_not_be_imported_is_named(empty_database_url: str) -> None:
    """Before the database is touched."""
    with pytest.raises(ConfigurationError, match="ONELANE_TASKS names 'nowhere'"):
        migrate(empty_database_url, modules=["nowhere"])


def test_the_engine_stands_alone(empty_database_url: str) -> None:
    """Without the bot's domain: its own tables, all the way up and down; nothing to check, nothing to lock."""
    assert migrate(empty_database_url, modules=ENGINE_ALONE) == ["0001_engine"]
    assert schemas_of(empty_database_url) == ["onelane"]
    assert verify(empty_database_url, ENGINE_ALONE) == []
    assert check(empty_database_url, ENGINE_ALONE) == []
    for command in (lockdown, unlock):
        with pytest.raises(ConfigurationError, match="No module in ONELANE_TASKS has tables to lock"):
            command(empty_database_url, "onelane_bot", modules=ENGINE_ALONE)
    assert down(empty_database_url, modules=ENGINE_ALONE) == ["0001_engine"]
    assert schemas_of(empty_database_url) == []


def test_a_domain_may_come_to_an_engine_that_is_there(empty_database_url: str) -> None:
    """Its steps are the pending ones."""
    migrate(empty_database_url, modules=ENGINE_ALONE)
    assert migrate(empty_database_url) == [step.name for step in Plan(["tasks"]).steps][1:]
    assert verify(empty_database_url) == []
    with pytest.raises(ConfigurationError, match="of a module that ONELANE_TASKS does not name"):
        status(empty_database_url, ENGINE_ALONE)

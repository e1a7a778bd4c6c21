"""The spool's directory."""

from pathlib import Path

import pytest

from tasks import UpsertUser
from worker.enqueue import order
from worker.errors import SpoolUnusable
from worker.settings import Settings
from worker.spool import Spool


def test_a_directory_that_can_not_be_looked_into_is_an_error_and_no_empty_spool(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        SpoolUnusable,
        match=rf"The spool in {tmp_path}/file can't be used \(Not a directory\): .* ONELANE_DATA_DIR",
    ):
        Spool(tmp_path / "file").waiting()


def test_a_file_that_can_not_be_written_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    (tmp_path / "spool.jsonl").mkdir()
    for use in (lambda: spool.append([]), lambda: spool.flush(lambda _: []), spool.contents):
        with pytest.raises(SpoolUnusable, match=rf"The spool in {tmp_path} can't be used \(Is a directory\)"):
            use()


def test_a_directory_that_is_not_there_yet_holds_nothing_until_a_job_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "not" / "yet")
    assert (spool.waiting(), spool.size()) == (False, 0)
    job = UpsertUser(slack_id="U0EXAMPLE01", name="kept", discipline="po")
    spool.append([order(job, Settings(), actor="U0EXAMPLE09", job_id="Ev01")])
    assert spool.waiting()
    assert [kept.id for kept in spool.contents().orders] == ["Ev01"]

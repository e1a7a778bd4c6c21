"""docs/settings.md says what the code says."""

import re

from tests.operations.conftest import ROOT
from worker import settings_page
from worker.settings import Settings


def test_the_page_is_up_to_date() -> None:
    places = re.findall(r"\w+(?:\.\w+)*:\w+", settings_page.__doc__ or "")
    assert places == ["worker.settings:Settings", "tasks.settings:TriageSettings"]
    written = (ROOT / "docs/settings.md").read_text()
    assert written == settings_page.page(places), "run the command in worker/settings_page.py"


def test_each_setting_is_on_it_with_its_default_its_meaning_and_its_limits() -> None:
    lines = settings_page.page(["worker.settings:Settings"]).splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| `ONELANE_")]
    assert [row[0] for row in rows] == [f"| `ONELANE_{name.upper()}`" for name in Settings.model_fields]
    shown = {row[0]: row[1:] for row in rows}
    assert shown["| `ONELANE_LEASE_MS`"] == ["`15000`", "after this a claim may be taken over, ms; at least 100 |"]
    assert shown["| `ONELANE_REDIS_URL`"][0] == "–"

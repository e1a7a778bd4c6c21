"""Each setting that is not as it must be is refused in one sentence that names the variable and what was expected."""

import re
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Ge, Le
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ConfigurationError
from worker.redis_client import redis_client
from worker.settings import Settings

PASSWORD = "s3cret"
BAD = {
    "PREFIX": ["", "a b", "{a}", "x" * 41],
    "EFFECTS_STREAM": ["", "a b"],
    "LOG_LEVEL": ["", "LOUD", "INFOS"],
    "MASK_KEY": ["short"],
}
NUMBERS = [name.upper() for name, field in Settings.model_fields.items() if field.annotation is int]


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """What is said about a value; never the value itself."""
    monkeypatch.setenv(f"ONELANE_{name}", value)
    with pytest.raises(ConfigurationError) as raised:
        Settings.load()
    said = str(raised.value)
    assert said.startswith(f"A setting is not as it must be. ONELANE_{name}: ")
    assert "\n" not in said
    return said


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_text_that_breaks_its_rule_is_refused_with_the_rule(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = refusal(monkeypatch, name, value)
    assert re.search(r"String should match pattern '.+'$", said)
    assert not value or f"'{value}'" not in said


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["many", "", "1.5", "1e3", "0x10"])
def test_what_is_no_whole_number_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert "Input should be a valid integer" in refusal(monkeypatch, name, value)


@pytest.mark.parametrize("name", NUMBERS)
def test_each_number_has_a_least_value_that_is_said(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (least,) = [each.ge for each in Settings.model_fields[name.lower()].metadata if isinstance(each, Ge)]
    said = refusal(monkeypatch, name, str(least - 1))  # type: ignore[operator]  # these are numbers
    assert said.endswith(f": Input should be greater than or equal to {least}")
    monkeypatch.setenv(f"ONELANE_{name}", str(least))
    assert getattr(Settings.load(), name.lower()) == least


def test_a_number_that_has_a_highest_value_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {n: m.le for n, field in Settings.model_fields.items() for m in field.metadata if isinstance(m, Le)}
    assert limits.keys() >= {"claim_jobs"}
    for name, most in limits.items():
        said = refusal(monkeypatch, name.upper(), str(most + 1))  # type: ignore[operator]  # these are numbers
        assert said.endswith(f": Input should be less than or equal to {most}")
        monkeypatch.delenv(f"ONELANE_{name.upper()}")


def test_several_that_are_wrong_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONELANE_LEASE_MS", "soon")
    assert "; ONELANE_LEASE_MS: Input should be" in refusal(monkeypatch, "PREFIX", "a b")


def test_a_setting_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONELANE_REDIS_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"ONELANE_LEASE: Extra inputs are not permitted$"):
        Settings.load(lease=5)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{PASSWORD}@localhost",
        f"redis://:{PASSWORD}@localhost:port/0",
        f"redis://:{PASSWORD}/x@localhost/0",
        f"{PASSWORD}",
        f"redis://:{PASSWORD}@[::1/0",
    ],
)
def test_a_url_that_is_none_of_redis_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ONELANE_REDIS_URL is not a Redis URL; expected redis://") as raised:
        redis_client(Settings(redis_url=url))
    assert PASSWORD not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("require", "service", "name"),
    [(Settings.require_redis, "Redis", "REDIS"), (Settings.require_database, "PostgreSQL", "DATABASE")],
)
def test_a_service_that_is_not_configured_is_named_with_what_to_do(require: Any, service: str, name: str) -> None:
    sentence = f"No {service} is configured: set ONELANE_{name}_URL, or run `onelane up` in this directory."
    with pytest.raises(ConfigurationError, match=f"^{re.escape(sentence)}$"):
        require(Settings(redis_url="", database_url=""))


@pytest.mark.parametrize(
    "left",
    [b"", b"{", b"[]", b'{"pid": "x"}', b'{"redis_url": "redis://x"}', b'{"pid": 1e99}', b'{"pid": null}', b"\xff"],
)
def test_a_broken_file_of_up_counts_as_none(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "services.json").write_bytes(left)
    assert Settings(data_dir=tmp_path).running_services() == {}


@given(st.lists(st.text("abc._ ", max_size=5), max_size=4))
def test_modules_are_separated_by_commas_and_blanks_do_not_count(names: list[str]) -> None:
    assert Settings(tasks=",".join(names)).task_modules == [name.strip() for name in names if name.strip()]

"""A script's header is its contract: what it names is bound, used and complete."""

import re
from importlib import resources

import pytest

FOLDER = resources.files("worker").joinpath("lua")
SCRIPTS = sorted(file.name for file in FOLDER.iterdir() if file.name.endswith(".lua"))
PIECES = {file.name.removesuffix(".lua") for file in FOLDER.joinpath("include").iterdir()}
LONGEST = 80


def text_of(name: str) -> str:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")


def header(name: str, entry: str) -> list[str]:
    found = re.search(rf"^-- {entry}: (.+)$", text_of(name), re.MULTILINE)
    return found[1].split() if found else []


def body(name: str) -> str:
    return "\n".join(line for line in text_of(name).splitlines() if not line.startswith("--"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_key_of_the_header_is_bound_under_its_name_in_order(name: str) -> None:
    keys = header(name, "KEYS")
    assert keys
    bindings = re.findall(r"^local ([\w, ]+) = ((?:KEYS\[\d+\](?:, )?)+)$", body(name), re.MULTILINE)
    bound = [each for names, _ in bindings for each in names.split(", ")]
    places = [int(n) for _, values in bindings for n in re.findall(r"KEYS\[(\d+)\]", values)]
    assert places == list(range(1, len(keys) + 1))
    short = {"list": "lane", "counts": "incident_counts", "over": "incidents_over"}
    assert [short.get(each, each) for each in bound] == keys
    for each in bound:
        assert len(re.findall(rf"\b{each}\b", body(name))) > 1, f"{each} is bound and not used"


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_it_includes_is_there_and_used(name: str) -> None:
    for piece in header(name, "include"):
        assert piece in PIECES
        functions = re.findall(r"^local function (\w+)", text_of(f"include/{piece}.lua"), re.MULTILINE)
        others = "\n".join(body(f"include/{other}.lua") for other in header(name, "include") if other != piece)
        assert any(re.search(rf"\b{function}\(", body(name) + others) for function in functions), piece


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_is_short_says_what_it_returns_and_never_searches_for_keys(name: str) -> None:
    assert re.search(r"^-- Returns: .+$", text_of(name), re.MULTILINE)
    assert re.search(r"^-- ARGV: .+$|ARGV", text_of(name), re.MULTILINE)
    assert len(text_of(name).splitlines()) <= LONGEST
    assert not re.search(r"'(KEYS|SCAN|keys|scan)'", body(name))
    assert "redis.call" in body(name)

"""What is wrong with a kind's class is said when its module is imported, naming kind and attribute."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import Job
from worker.errors import ConfigurationError, InvalidJob, UnknownKind
from worker.job import KINDS, kind_of, load_kinds, parse, statement

GOOD = """
    person: str
    messages = {"granted": "<@{person}> has it, {{really}}, by {actor}."}
    sql = "SELECT"
    def lane(self):
        return f"person:{self.person}"
"""


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module with one class of this body, and gives the class."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(KINDS)

    def imported(body: str, options: str = ', kind="unit.grant"', name: str = "unit_kinds") -> type[Job]:
        text = f"from typing import ClassVar\nfrom worker import Job\nclass Grant(Job{options}):\n"
        (tmp_path / f"{name}.py").write_text(text + indent(dedent(body), "    "))
        sys.modules.pop(name, None)
        load_kinds([name])
        made: type[Job] = sys.modules[name].Grant
        return made

    yield imported
    for kind in set(KINDS) - before:
        del KINDS[kind]


WRONG = {
    "no lane": (
        'sql = "SELECT"',
        "`lane(self)` is missing; it returns the name of the lane of the entity that a job changes",
    ),
    "no statement": (
        "def lane(self): return 'x'",
        "it has no statement: neither a class attribute `sql` nor the file {directory}/sql/unit.grant.sql",
    ),
    "another word for what follows a dead letter": (
        f"{GOOD}\n    after_dead = 'stop'",
        "`after_dead` is 'stop'; expected 'continue' or 'hold'",
    ),
    "no attempt": (f"{GOOD}\n    max_attempts = 0", "`max_attempts` is 0; expected a whole number from 1, or None"),
    "half an attempt": (
        f"{GOOD}\n    max_attempts = 0.5",
        "`max_attempts` is 0.5; expected a whole number from 1, or None",
    ),
    "a rest before its enqueue": (f"{GOOD}\n    rest_ms = -1", "`rest_ms` is -1; expected a whole number of ms from 0"),
    "no mapping of messages": (
        f"{GOOD}\n    messages = ['granted']",
        "`messages` is ['granted']; expected a sentence for each code",
    ),
    "a fact without a name": (
        f"{GOOD}\n    messages = {{'granted': 'to {{}}'}}",
        "the message for 'granted' is 'to {}'; expected a sentence with facts such as {name}",
    ),
    "an open brace": (
        f"{GOOD}\n    messages = {{'granted': 'to {{person'}}",
        "the message for 'granted' is 'to {person'; expected a sentence with facts such as {name}",
    ),
    "a part of a fact": (
        f"{GOOD}\n    messages = {{'granted': '{{person.name}}'}}",
        "the message for 'granted' is '{person.name}'; expected a sentence with facts such as {name}",
    ),
    "a form that not every fact can take": (
        f"{GOOD}\n    messages = {{'granted': '{{hours:.1f}}'}}",
        "the message for 'granted' is '{hours:.1f}'; expected a sentence with facts such as {name}",
    ),
    "no sentence": (
        f"{GOOD}\n    messages = {{'granted': None}}",
        "the message for 'granted' is None; expected a sentence with facts such as {name}",
    ),
    "a field that takes the kind's place": (
        f"{GOOD}\n    kind: str",
        "`kind` is no field of a payload, but an attribute of Job; set it without a type, or as ClassVar",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_class_that_is_no_job_kind_is_refused_at_import(declare: Any, tmp_path: Path, wrong: str) -> None:
    body, problem = WRONG[wrong]
    problem = problem.replace("{directory}", str(tmp_path))
    sentence = f"The job kind 'unit.grant' (<class 'unit_kinds.Grant'>) is not declared as it must be: {problem}."
    with pytest.raises(ConfigurationError, match=f"^{re.escape(sentence)}$"):
        declare(body)
    assert "unit.grant" not in KINDS


@pytest.mark.filterwarnings("ignore:Field name .* shadows an attribute:UserWarning")
@pytest.mark.parametrize("name", ["messages", "lane", "merge", "sql", "context"])
def test_an_attribute_of_job_with_a_type_is_refused_and_not_taken_for_a_field(declare: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"`{name}` is no field of a payload, but an attribute of Job; set it"):
        declare(f"{GOOD}\n    {name}: dict = {{}}")


@pytest.mark.parametrize("kind", ["", "a b", "a/b", "{a}", "x" * 101, "ä"])
def test_a_kind_needs_a_name(declare: Any, kind: str) -> None:
    sentence = f"<class 'unit_kinds.Grant'>: kind={kind!r} is no name of a kind; expected such as 'user.upsert'."
    with pytest.raises(ConfigurationError, match=f"^{re.escape(sentence)}$"):
        declare(GOOD, f", kind={kind!r}")


def test_a_kind_belongs_to_one_class_and_that_may_be_imported_again(declare: Any) -> None:
    first = declare(GOOD)
    again = declare(GOOD)
    assert kind_of("unit.grant") is again is not first
    sentence = (
        "The job kind 'unit.grant' is declared twice: by <class 'unit_kinds.Grant'> and <class 'other_kinds.Grant'>."
    )
    with pytest.raises(ConfigurationError, match=f"^{re.escape(sentence)}$"):
        declare(GOOD, name="other_kinds")
    assert kind_of("unit.grant") is again


def test_a_class_without_a_kind_is_a_base_for_others_and_may_lack_anything(declare: Any) -> None:
    declare("after_dead = 'stop'", "")
    assert "unit.grant" not in KINDS


def test_the_statement_lies_beside_the_module_wherever_that_is(declare: Any, tmp_path: Path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "unit.grant.sql").write_text("SELECT 1")
    assert statement(declare(GOOD.replace('sql = "SELECT"', ""))) == "SELECT 1"


def test_a_module_that_can_not_be_imported_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^ONELANE_TASKS names 'no_such_module', which can't be imported: "):
        load_kinds(["no_such_module"])


def test_a_message_is_filled_with_facts_and_a_missing_one_is_a_dash(declare: Any) -> None:
    grant = declare(GOOD)
    assert grant.message("granted", {"person": "U0EXAMPLE01"}) == "<@U0EXAMPLE01> has it, {really}, by –."
    assert grant.message("not_there", {}) == "unit.grant: not there."


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text())))
def test_no_fact_can_spoil_a_message_of_any_kind(facts: dict[str, Any]) -> None:
    load_kinds(["tasks", "worker.heartbeat"])
    for kind in KINDS.values():
        for code in kind.messages:
            assert kind.message(code, facts)


def test_every_wrong_field_is_named_and_no_value_is_shown(declare: Any) -> None:
    declare(GOOD)
    with pytest.raises(InvalidJob) as raised:
        parse("unit.grant", {"person": ["secret"], "colour": "secret"})
    assert str(raised.value) == (
        "unit.grant: person: Input should be a valid string; colour: Extra inputs are not permitted"
    )


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_json_can_not_write_is_refused(declare: Any, number: str) -> None:
    declare(GOOD.replace("person: str", "person: str\n    share: float"))
    with pytest.raises(InvalidJob, match=r"^unit\.grant: share: Input should be a finite number$"):
        parse("unit.grant", {"person": "U0EXAMPLE01", "share": float(number)})


@pytest.mark.parametrize("payload", [None, [], "text", 1, {"person": None}, {}])
def test_a_payload_that_is_none_is_refused(declare: Any, payload: Any) -> None:
    declare(GOOD)
    with pytest.raises(InvalidJob, match=r"^unit\.grant: (payload|person): "):
        parse("unit.grant", payload)


def test_an_unknown_kind_is_named_with_those_that_are_known(declare: Any) -> None:
    declare(GOOD)
    with pytest.raises(UnknownKind, match=r"^kind: 'unit\.grnat' is unknown; known are .*\bunit\.grant\b"):
        parse("unit.grnat", {})


def test_a_job_can_not_be_changed(declare: Any) -> None:
    job = declare(GOOD)(person="U0EXAMPLE01")
    with pytest.raises(ValueError, match="Instance is frozen"):
        job.person = "U0EXAMPLE02"

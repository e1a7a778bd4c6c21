"""The header of each script is its contract: held against its body, its shared pieces and its callers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import worker
from tests.lanes.contract import contract, names, piece, pieces
from worker.lane import Keys

ROOT = Path(worker.__file__).parent.parent
OF_ONE = {"lane": "lane", "grant": "grant", "outcome": "outcome", "effects": "effects", "seen": "effects"}
"""Keys that belong to one lane, drain, job or stream, and the word that says whose."""

LOCAL_NAMES = {
    ("KEYS", "lane"): {"list"},
    ("ARGV", "name"): {"lane"},
    ("ARGV", "until_us"): {"ends"},
    ("ARGV", "attempts"): {"memory"},
    ("ARGV", "text"): {"said"},
}
"""Where a body may say another word than the header, lest one name mean two things."""

WORD = r"'([a-z_]+)'"


def code(text: str) -> str:
    """Lua without its comments."""
    return re.sub(r"--.*", "", text)


def bindings(body: str) -> Iterator[tuple[str, str, str]]:
    """Each `local a, b = KEYS[1], …` as (a, KEYS, 1); also conversions like `tonumber(ARGV[2])`."""
    for left, right in re.findall(r"^\s*local ([\w, ]+) = (.+?)$", code(body), re.MULTILINE):
        values = re.findall(r"(?:tonumber\()?(KEYS|ARGV)\[([^\]]+)\]\)?(?: == '1')?", right)
        if values and right.count("[") == len(values) and ".." not in right:
            yield from ((name.strip(), *value) for name, value in zip(left.split(","), values, strict=False))


def allowed(kind: str, name: str) -> set[str]:
    """The names that a body may give to a key or an argument."""
    return {name, re.sub(r"_(us|ms)$", "", name), name.rpartition("_")[2]} | LOCAL_NAMES.get((kind, name), set())


@pytest.mark.parametrize("name", names())
def test_a_script_binds_each_key_and_argument_of_its_header_in_order_and_uses_it(name: str) -> None:
    found = contract(name)
    bound = list(bindings(found.body))
    for kind, expected in (("KEYS", found.keys), ("ARGV", found.argv)):
        fixed = [(local, int(place)) for local, of, place in bound if of == kind and place.isdigit()]
        assert [place for _, place in fixed] == list(range(1, len(expected) + 1)), f"{kind} of {name}: {fixed}"
        for (local, _), declared in zip(fixed, expected, strict=True):
            assert local in allowed(kind, declared), f"{kind} of {name}: {declared} is bound to {local}"
            assert len(re.findall(rf"\b{local}\b", code(found.body))) > 1, f"{name} never uses {local}"
    numbers = {int(n) for n in re.findall(r"KEYS\[(\d+)\]", found.body)}
    assert numbers == set(range(1, len(found.keys) + 1))
    assert not re.search(r"KEYS\[(?!\d+\])", code(found.body)), "keys are known before, never computed"


@pytest.mark.parametrize("name", [name for name in names() if contract(name).tail])
def test_a_script_takes_the_arguments_of_each_job_as_its_header_says(name: str) -> None:
    found = contract(name)
    body, first, step = code(found.body), len(found.argv) + 1, len(found.tail)
    if "while i <= #ARGV" in body:
        assert f"local i = {first}" in body
        assert f"i = i + {step}" in body
    else:
        assert re.search(rf"for i = {first}, #ARGV, {step} do", body), f"{name} goes through {found.tail} from {first}"
    offsets = {int(offset or 0) for offset in re.findall(r"ARGV\[i(?: \+ (\d+))?\]", body)}
    assert offsets == set(range(step))
    for local, _, place in bindings(found.body):
        if place.startswith("i"):
            declared = found.tail[int(place.partition("+")[2] or 0)]
            assert local in allowed("ARGV", declared), f"{name}: {declared} is bound to {local}"


@pytest.mark.parametrize("name", names())
def test_a_script_touches_only_keys_that_were_passed_to_it(name: str) -> None:
    found = contract(name)
    text = code(found.body) + "\n".join(code(piece(each)) for each in found.includes)
    locals_of_keys = {local for local, of, _ in bindings(found.body) if of == "KEYS"}
    prefixes = {"lanes", "outcomes"} & set(found.keys)
    for command, key in re.findall(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", text):
        if command == "TIME":
            continue
        root = key.strip().split(" .. ")[0]
        made_of_prefix = re.search(rf"local {root} = (?:{'|'.join(prefixes) or 'nothing'}) \.\. ", text)
        parameter = re.search(rf"function \w+\([^)]*\b{root}\b[^)]*\)", text)
        put_together = re.search(rf"local {root}, \w+ = lanes \.\. ", text)
        assert root in locals_of_keys or made_of_prefix or parameter or put_together, f"{name}: {command} {key}"


@pytest.mark.parametrize("name", names())
def test_a_script_never_looks_for_keys_and_is_short_enough_to_read(name: str) -> None:
    found = contract(name)
    text = code(found.body) + "\n".join(code(piece(each)) for each in found.includes)
    assert not re.findall(r"'(KEYS|SCAN|HSCAN|SSCAN|ZSCAN|RANDOMKEY|FLUSH\w*|EVAL\w*)'", text)
    assert len((found.header + "\n" + found.body).splitlines()) <= 75
    assert found.header.startswith("-- ")
    assert found.returns


@pytest.mark.parametrize("name", names())
def test_a_script_answers_with_the_words_of_its_header_and_no_others(name: str) -> None:
    found = contract(name)
    body = code(found.body) + "".join(code(piece(each)) for each in found.includes if each == "deliver")
    said = set(re.findall(r"return (?:\w+ and )?\{?" + WORD, body))
    said |= set(re.findall(r"return \w+ and '[a-z_]+' or " + WORD, body))
    said |= set(re.findall(r"local answer(?:, \w+)? = \{" + WORD, body))
    without_remarks = re.sub(r"\([^)]*\)", "", found.returns)
    parts = re.split(r"\||\bor\b", without_remarks.rpartition(": ")[2])
    is_closed_set = len(parts) > 1 or len(parts[0].split()) == 1
    declared = {re.sub(r"[{}'\s].*", "", re.sub(r"^[\s{']+", "", part)) for part in parts if is_closed_set}
    assert said == declared, f"{name} answers {sorted(said)}, its header says {sorted(declared)}"


def test_each_shared_piece_is_included_by_somebody_and_each_include_exists_and_is_needed() -> None:
    assert {each for name in names() for each in contract(name).includes} == set(pieces())
    for name in names():
        found = contract(name)
        for number, each in enumerate(found.includes):
            functions = re.findall(r"local function (\w+)", piece(each))
            after = "".join(code(piece(later)) for later in found.includes[number + 1 :]) + code(found.body)
            assert any(re.search(rf"\b{function}\(", after) for function in functions), f"{name} doesn't need {each}"


def test_a_shared_piece_calls_only_what_stands_before_it() -> None:
    everywhere = {f: each for each in pieces() for f in re.findall(r"local function (\w+)", piece(each))}
    for name in names():
        seen: set[str] = set()
        for each in contract(name).includes:
            called = set(re.findall(r"\b(\w+)\(", code(piece(each)))) & everywhere.keys()
            assert all(everywhere[function] in seen | {each} for function in called), f"{each} in {name}"
            seen.add(each)


class Call:
    """A place in Python that calls a script."""

    def __init__(self, file: Path, node: ast.Call, function: ast.AST) -> None:
        self.place = f"{file.relative_to(ROOT)}:{node.lineno}"
        self._function, self._node = function, node
        self.is_call = getattr(node.func, "id", "") == "Call"
        self.script = str(ast.literal_eval(node.args[0 if self.is_call else 2]))

    @property
    def of(self) -> set[str]:
        """Whose keys it names."""
        if self.is_call:
            entities = self._node.args[2]
            assert isinstance(entities, ast.Dict), self.place
            return {str(ast.literal_eval(key)) for key in entities.keys if key is not None}
        return {keyword.arg or "?" for keyword in self._node.keywords}

    def arguments(self) -> tuple[int, set[int]]:
        """How many arguments always come, and the sizes of groups that come once for each of something."""
        given = [ast.Starred(self._node.args[1])] if self.is_call else self._node.args[3:]
        return self._count(given)

    def _count(self, given: list[ast.expr]) -> tuple[int, set[int]]:
        fixed, groups = 0, set()
        for argument in given:
            if not isinstance(argument, ast.Starred):
                fixed += 1
                continue
            count, more = self._starred(argument.value)
            fixed += count
            groups |= more
        return fixed, groups

    def _starred(self, value: ast.expr) -> tuple[int, set[int]]:
        match value:
            case ast.Tuple() | ast.List():
                return self._count(value.elts)
            case ast.Name():
                return self._named(value.id)
            case ast.GeneratorExp() | ast.ListComp():
                inner = value.generators[-1].iter
                many = [len(node.elts) for node in ast.walk(inner) if isinstance(node, ast.Tuple)]
                return 0, {many[0]} if many else {2}
        return 0, set()

    def _named(self, name: str) -> tuple[int, set[int]]:
        fixed, groups, found = 0, set(), False
        for node in ast.walk(self._function):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name and not found:
                    (fixed, groups), found = self._starred(value), True
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if (
                    target == name and not found
                ):
                    (fixed, groups), found = self._starred(value), True
                case ast.AugAssign(target=ast.Name(id=target), value=ast.Tuple(elts=elements)) if target == name:
                    groups |= {len(elements)}
        return fixed, groups


def calls() -> list[Call]:
    """Every place that calls a script by name."""
    found = []
    for file in sorted(ROOT.glob("worker/**/*.py")) + sorted(ROOT.glob("tasks/**/*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef):
                continue
            for node in ast.walk(function):
                if not isinstance(node, ast.Call):
                    continue
                word, place = getattr(node.func, "id", ""), {"run": 2, "Call": 0}
                if word in place and len(node.args) > place[word]:
                    name = node.args[place[word]]
                    if isinstance(name, ast.Constant) and isinstance(name.value, str):
                        found.append(Call(file, node, function))
    return found


CALLS = calls()


@pytest.mark.parametrize("call", CALLS, ids=[f"{call.script}-{call.place}" for call in CALLS])
def test_a_caller_names_whose_keys_it_means_and_gives_all_arguments(call: Call) -> None:
    assert call.script in names(), f"{call.place} calls a script that is not there"
    found = contract(call.script)
    assert call.of == {OF_ONE[key] for key in found.keys if key in OF_ONE}, call.place
    fixed, groups = call.arguments()
    beyond = fixed - len(found.argv)
    assert beyond == 0 or (found.tail and beyond % len(found.tail) == 0), f"{call.place} gives {fixed}: {found.argv}"
    assert groups <= {len(found.tail)} or not found.tail, f"{call.place} gives {groups} for each of {found.tail}"


def test_every_script_is_named_by_somebody() -> None:
    python = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("worker/**/*.py"))
    assert [name for name in names() if f'"{name}"' not in python] == []


def test_every_key_of_every_script_stands_on_one_slot() -> None:
    keys, of = Keys("p"), {"lane": "a", "outcome": "b", "grant": "c", "effects": "p:effects"}
    for name in names():
        tags = {re.sub(r"^\{?([^:}]+).*", r"\1", keys.named(key, **of)) for key in contract(name).keys}
        assert tags == {"p"} or name == "publish", name

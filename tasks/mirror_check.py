"""Whether a file of the mirror says what its table holds, row by row; a sentence for each difference."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from tasks.bot_files import Content, Entry, File, entries


def differences(file: File, name: str, mirrored: Content, table: Content) -> list[str]:
    """What differs between the file and what it should say. Raises BadFile when the file has another form."""
    found, wanted = _named(file, name, mirrored), _named(file, name, table)
    return [f"{name}: {what}" for what in _all(found, wanted)]


def _all(found: list[tuple[str, Any]], wanted: list[tuple[str, Any]]) -> Iterator[str]:
    in_file, in_table = dict(found), dict(wanted)
    for what, times in Counter(what for what, _ in found).items():
        if times > 1:
            yield f"{what} stands there {times} times."
    for what, value in in_table.items():
        if what not in in_file:
            yield f"{what} is missing."
        else:
            yield from _unequal(what, in_file[what], value)
    yield from (f"{what} is not in the database." for what in in_file if what not in in_table)
    yield from _out_of_order([what for what in in_file if what in in_table], [w for w in in_table if w in in_file])


def _unequal(what: str, found: Any, wanted: Any) -> Iterator[str]:
    if not (isinstance(found, dict) and isinstance(wanted, dict)):
        if found != wanted:
            yield f"{what} is {_text(found)} in the file and {_text(wanted)} in the database."
        return
    for key in wanted | found:
        if found.get(key) != wanted.get(key):
            yield (
                f"{what}: {key} is {_text(found.get(key))} in the file and {_text(wanted.get(key))} in the database."
            )


def _out_of_order(found: list[str], wanted: list[str]) -> Iterator[str]:
    for first, other in zip(found, wanted, strict=True):
        if first != other:
            yield f"the order is another: {first} stands where {other} should."
            return


def _text(value: Any) -> str:
    return to_json(value).decode()


def _named(file: File, name: str, content: Content) -> list[tuple[str, Any]]:
    """The rows with what people call them: by that they are found in the other one."""
    if file == "currentState" and isinstance(content, dict):
        return list(content.items())
    return [(_name_of(file, entry), entry.value) for entry in entries(file, name, content)]


def _name_of(file: File, entry: Entry) -> str:
    value = entry.value
    if file == "sprints":
        return f"the sprint at position {entry.place}"
    if not isinstance(value, dict):
        return entry.where
    if file == "disciplines":
        return f"{value.get('slackId')} in {entry.group}"
    asked = f"{value.get('requestedBy')} asks {value.get('newSlackId')} to cover"
    return f"the request in which {asked} {value.get('role')} in sprint {value.get('sprintIndex')}"

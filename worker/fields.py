"""Fields: a payload from `field=value`, as a person types it."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from worker.errors import InvalidJob
from worker.job import Job


def read_fields(words: Iterable[str]) -> dict[str, str]:
    """The text for each field. Raises InvalidJob that names a word which is none."""
    texts: dict[str, str] = {}
    for each in words:
        name, is_given, value = each.partition("=")
        if not (name and is_given):
            raise InvalidJob(f"{each!r}: expected field=value")
        if name in texts:
            raise InvalidJob(f"{name}: given twice")
        texts[name] = value
    return texts


def with_fields(kind: type[Job], payload: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """The payload with these fields: a value that is JSON is taken as such if its field agrees, any other as text."""
    found = {**payload, **{name: json_or_text(value) for name, value in texts.items()}}
    in_doubt = {name for name in _wrong_fields(kind, found) if not isinstance(found.get(name), str)} & texts.keys()
    with_texts = found | {name: texts[name] for name in in_doubt}
    still_wrong = _wrong_fields(kind, with_texts)
    keep = {name for name in in_doubt & still_wrong if isinstance(found[name], dict | list)}
    return with_texts | {name: found[name] for name in keep}


def json_or_text(value: str) -> Any:
    """What the text says as JSON, or the text."""
    try:
        return from_json(value)
    except (ValueError, TypeError):  # the latter of bytes that are no Unicode
        return value


def _wrong_fields(kind: type[Job], payload: dict[str, Any]) -> set[str]:
    try:
        kind.model_validate(payload)
    except ValidationError as error:
        return {str(each["loc"][0]) for each in error.errors() if each["loc"]}
    return set()

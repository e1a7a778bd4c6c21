"""A declaration: what the class of a job kind must be.

It is looked at when the class is made, so that a mistake stops the import of its module, and not a worker at night.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter
from typing import Any

from worker.errors import ConfigurationError

KIND = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def check(cls: type[Any], kind: str, base: type[Any]) -> None:
    """Raise ConfigurationError, naming kind and attribute, unless the class declares a job kind; `base` is Job."""
    if not KIND.fullmatch(kind):
        raise ConfigurationError(f"{cls!r}: kind={kind!r} is no name of a kind; expected such as 'user.upsert'.")
    for problem in _problems(cls, base):
        raise ConfigurationError(f"The job kind {kind!r} ({cls!r}) is not declared as it must be: {problem}.")


def _problems(cls: type[Any], base: type[Any]) -> Iterator[str]:
    for name in cls.model_fields:
        if hasattr(base, name) or name in base.__annotations__:
            yield f"`{name}` is no field of a payload, but an attribute of Job; set it without a type, or as ClassVar"
    if getattr(cls.lane, "__isabstractmethod__", False):
        yield "`lane(self)` is missing; it returns the name of the lane of the entity that a job changes"
    if cls.after_dead not in {"continue", "hold"}:
        yield f"`after_dead` is {cls.after_dead!r}; expected 'continue' or 'hold'"
    if cls.max_attempts is not None and not _is_number(cls.max_attempts, 1):
        yield f"`max_attempts` is {cls.max_attempts!r}; expected a whole number from 1, or None"
    if not _is_number(cls.rest_ms, 0):
        yield f"`rest_ms` is {cls.rest_ms!r}; expected a whole number of ms from 0"
    yield from _problems_of_messages(cls.messages)
    if cls.apply is None and not cls.sql and not sql_file(cls).is_file():
        yield f"it has no statement: neither a class attribute `sql` nor the file {sql_file(cls)}"


def _is_number(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _problems_of_messages(messages: Any) -> Iterator[str]:
    if not isinstance(messages, Mapping):
        yield f"`messages` is {messages!r}; expected a sentence for each code"
        return
    for code, sentence in messages.items():
        if not _is_sentence(sentence):
            yield f"the message for {code!r} is {sentence!r}; expected a sentence with facts such as {{name}}"


def _is_sentence(text: Any) -> bool:
    """Whether it can be filled whatever the facts are: each is named, and taken as it is."""
    try:
        parts = list(Formatter().parse(text))
    except (ValueError, TypeError):
        return False
    return all(
        name is None or (name.isidentifier() and not form and not conversion) for _, name, form, conversion in parts
    )


def sql_file(cls: type[Any]) -> Path:
    """Where the kind's statement lies if it has a file: `sql/<kind>.sql` beside the module."""
    module = sys.modules[cls.__module__]
    return Path(getattr(module, "__file__", None) or "").parent / "sql" / f"{cls.kind}.sql"

"""The values that payloads are made of, each with its limits, checked before a job is queued.

The limits are those of the bot's columns. A varchar column would cut surplus blanks in silence, text knows no NUL, and
UTF-8 no lone surrogate; so such texts are refused here, with a sentence that says what was expected.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

Role = Literal["account", "producer", "po", "uiEng", "beEng"]
ROLES: tuple[Role, ...] = get_args(Role)

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def wrong(expected: str) -> PydanticCustomError:
    """The error of a value that is not as expected."""
    return PydanticCustomError("not_as_expected", "{expected}", {"expected": f"expected {expected}"})


def _text(limit: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not 1 <= len(value) <= limit:
            raise wrong(f"1 to {limit} characters, got {len(value)}")
        if value != value.strip():
            raise wrong("no blanks at the beginning or the end")
        if UNSTORABLE.search(value):
            raise wrong("valid Unicode without NUL")
        return value

    return check


def _day(value: Any) -> date:
    if isinstance(value, datetime) or not isinstance(value, date | str):
        raise wrong("a day as YYYY-MM-DD")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if DAY.fullmatch(value) else _no_day(value)
    except ValueError:
        raise wrong(f"a real day as YYYY-MM-DD, got {value[:20]!r}") from None


def _no_day(value: str) -> date:
    raise ValueError(value)


def _instant(value: Any) -> datetime:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong("a time as 2030-01-03T10:00:00Z") from None
    if instant.tzinfo is None:
        raise wrong("a time with its zone, as 2030-01-03T10:00:00Z")
    return instant.astimezone(UTC)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise wrong("a whole number from 0 to 2147483647")
    return value


def _unique(values: tuple[Role, ...]) -> tuple[Role, ...]:
    if len(set(values)) != len(values):
        raise wrong("each role once")
    return values


SlackId = Annotated[str, AfterValidator(_text(50))]
PersonName = Annotated[str, AfterValidator(_text(100))]
SprintName = Annotated[str, AfterValidator(_text(50))]
SprintIndex = Annotated[int, BeforeValidator(_whole)]
RowId = Annotated[int, BeforeValidator(_whole)]
Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, without a time or a zone."""
Instant = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(lambda t: t.isoformat(), return_type=str)]
"""A point in time, held in UTC."""
Roles = Annotated[tuple[Role, ...], Field(min_length=1, strict=False), AfterValidator(_unique)]

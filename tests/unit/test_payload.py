"""A job's payload is what pydantic itself writes of its fields, whatever they are made of."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from worker import Job
from worker.job import payload_of


class Size(Enum):
    """Of a parcel."""

    SMALL = "s"


class Part(BaseModel):
    """Has another name outside."""

    model_config = ConfigDict(populate_by_name=True)
    number: int = Field(alias="no")


class Outside(Job):
    """Writes its field by its other name, as the bot's own payloads with `from` do."""

    model_config = ConfigDict(serialize_by_alias=True)
    origin: str = Field(alias="from")

    def lane(self) -> str:
        return "unit"


class Parcel(Job):
    """Without a kind, so nobody else hears of it."""

    model_config = ConfigDict(ser_json_timedelta="float", populate_by_name=True)
    at: datetime
    lasts: timedelta
    price: Decimal
    size: Size
    parts: tuple[Part, ...]
    odds: float
    extra: dict[str, Any]
    named: str = Field(alias="name")
    loud: str

    @field_serializer("loud")
    def _shout(self, value: str) -> str:
        return value.upper()

    def lane(self) -> str:
        return "unit"


def test_a_payload_is_what_the_model_itself_writes_as_json_and_makes_the_same_job_again() -> None:
    job = Parcel(
        at=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        lasts=timedelta(seconds=90),
        price=Decimal("1.50"),
        size=Size.SMALL,
        parts=(Part(number=1),),
        odds=0.1,
        extra={"z": [1, None], "a": {"b": Size.SMALL}},
        named="n",
        loud="L",
    )
    payload = payload_of(job)
    assert payload == {
        "at": "2030-01-02T03:04:05Z",
        "lasts": 90.0,
        "price": "1.50",
        "size": "s",
        "parts": [{"number": 1}],
        "odds": 0.1,
        "extra": {"z": [1, None], "a": {"b": "s"}},
        "named": "n",
        "loud": "L",
    }
    assert payload == job.model_dump(mode="json")
    assert payload_of(Parcel.model_validate(payload)) == payload


def test_a_field_goes_by_the_name_that_its_model_says() -> None:
    job = Outside.model_validate({"from": "po"})
    assert payload_of(job) == job.model_dump(mode="json") == {"from": "po"}

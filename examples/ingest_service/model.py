"""What travels through the graph: a flight, a line that is none, and the counts of an hour."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError

PREVIEW_BYTES_MAX = 1000
DETAIL_CHARS_MAX = 500


def _real_minutes(value: int) -> int:
    if value % 100 > 59:
        raise ValueError("the last two digits are minutes, 00 to 59")
    return value


def _is_text(value: object) -> object:
    """Pydantic would also read a number, as seconds since 1970."""
    if not isinstance(value, str):
        raise ValueError("must be a text like 2013-01-01T10:00:00Z")
    return value


# Numbers must be JSON numbers: "517" and true are refused.
TimeOfDay = Annotated[int, Field(strict=True, ge=0, le=2400), AfterValidator(_real_minutes)]
Delay = Annotated[int, Field(strict=True, ge=-1440, le=10080)]  # minutes: a day early, a week late
Airport = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


def _whole(low: int, high: int) -> Any:
    return Field(strict=True, ge=low, le=high)


class Flight(BaseModel):
    """One scheduled departure; a cancelled one has no `dep_time`. Times are local, `hhmm`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    year: int = _whole(1987, 2100)  # the Bureau's records begin in 1987
    month: int = _whole(1, 12)
    day: int = _whole(1, 31)
    dep_time: TimeOfDay | None
    sched_dep_time: TimeOfDay
    dep_delay: Delay | None
    arr_time: TimeOfDay | None
    sched_arr_time: TimeOfDay
    arr_delay: Delay | None
    carrier: str = Field(pattern=r"^[0-9A-Z]{2}$")
    flight: int = _whole(1, 9999)
    tailnum: Annotated[str, Field(pattern=r"^[0-9A-Z]{2,8}$")] | None
    origin: Airport
    dest: Airport
    air_time: Annotated[int, _whole(1, 1440)] | None  # minutes
    distance: int = _whole(1, 12500)  # miles: half the way around the world
    hour: int = _whole(0, 23)
    minute: int = _whole(0, 59)
    time_hour: Annotated[AwareDatetime, BeforeValidator(_is_text)]

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        try:
            date(self.year, self.month, self.day)
        except ValueError:
            raise PydanticCustomError("date", "there is no such day in that month") from None
        if self.sched_dep_time != self.hour * 100 + self.minute:
            raise PydanticCustomError("hour", "hour and minute are not those of sched_dep_time")
        if self.dep_time is None and (self.dep_delay, self.arr_time, self.air_time) != (None,) * 3:
            raise PydanticCustomError("cancelled", "a flight without dep_time has flown")
        return self

    @property
    def cancelled(self) -> bool:
        """Whether the flight never left."""
        return self.dep_time is None


FIELDS = tuple(Flight.model_fields)
CONTRADICTIONS = {"date", "hour", "cancelled"}  # what is wrong with no single field


@dataclass(frozen=True, slots=True)
class Record:
    """A line and the JSON object that it holds."""

    line: bytes
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is not a flight: its beginning, a reason code and a sentence."""

    line: str
    reason: str
    detail: str

    @classmethod
    def of(cls, line: bytes, reason: str, detail: str) -> Self:
        """Keep what can be stored: bytes that are not UTF-8 are shown as `\\xff`."""
        preview = line[:PREVIEW_BYTES_MAX].decode("utf-8", "backslashreplace")
        # JSON can name half a surrogate pair, which no text column takes.
        plain = detail.encode("utf-8", "backslashreplace").decode("utf-8")
        return cls(preview, reason, plain[:DETAIL_CHARS_MAX])


@dataclass(frozen=True, slots=True)
class CarrierHour:
    """Flights of a carrier scheduled in an hour of the day, to be added to earlier ones."""

    carrier: str
    hour: int
    scheduled: int
    cancelled: int
    departed: int
    dep_delay_minutes: int

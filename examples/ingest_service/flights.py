"""What a line must hold to be a flight, and the reason why another is none. Nothing here knows of graphs."""

import json
from datetime import date
from typing import Annotated, Any, NoReturn, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

LINE_BYTES_MAX = 64 * 1024
CONTRADICTIONS = ("date", "hour", "cancelled")  # reasons that are no single field's


class LineError(Exception):
    """A line that cannot be used: a reason to count by, of a small set, and a sentence for a reader."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def _real_minutes(value: int) -> int:
    if value % 100 > 59:
        raise ValueError("the last two digits are minutes, 00 to 59")
    return value


def _is_text(value: object) -> object:
    if not isinstance(value, str):  # pydantic would also read a number, as seconds since 1970
        raise ValueError("must be a text like 2013-01-01T10:00:00Z")
    return value


def _whole(low: int, high: int) -> Any:
    return Field(strict=True, ge=low, le=high)  # strict: "517" and true are no numbers


TimeOfDay = Annotated[int, _whole(0, 2400), AfterValidator(_real_minutes)]  # hhmm: 517 is 05:17
Delay = Annotated[int, _whole(-1440, 10080)]  # minutes: a day early to a week late
Airport = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class Flight(BaseModel):
    """One scheduled departure; a cancelled one has no `dep_time`. Times of day are local."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    year: int = _whole(1987, 2100)
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
        if (self.dep_time is None) != (self.dep_delay is None):
            raise PydanticCustomError("cancelled", "dep_time and dep_delay go together")
        if self.cancelled and (self.arr_time, self.air_time) != (None, None):
            raise PydanticCustomError("cancelled", "a flight without dep_time has flown")
        return self

    @property
    def cancelled(self) -> bool:
        """Whether the flight never left."""
        return self.dep_time is None


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object that `line` holds; raise LineError where it holds none."""
    if len(line) > LINE_BYTES_MAX:
        raise LineError("too_long", f"a line may have {LINE_BYTES_MAX:,} bytes")
    if not line.strip():
        raise LineError("blank", "the line is empty")
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise LineError("bad_encoding", str(error)) from None
    except ValueError as error:  # JSONDecodeError, and numbers of thousands of digits
        raise LineError("bad_json", str(error)) from None
    except RecursionError:
        raise LineError("bad_json", "nested too deeply") from None
    if not isinstance(value, dict):
        raise LineError("not_an_object", f"a JSON object is wanted, not {type(value).__name__}")
    return value


def to_flight(fields: dict[str, Any]) -> Flight:
    """Return the flight that `fields` describe; raise LineError naming the first field that is wrong."""
    try:
        return Flight.model_validate(fields)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = str(problem["loc"][0]) if problem["loc"] else problem["type"]
    reason = where if where in Flight.model_fields or where in CONTRADICTIONS else "unknown_field"
    raise LineError(f"schema:{reason}", f"{where[:40]}: {problem['msg']}")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

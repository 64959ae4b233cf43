"""From a line to a flight, or to the reason why it is none. Nothing here knows of graphs."""

import json
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from examples.ingest_service.framing import LINE_BYTES_MAX
from examples.ingest_service.model import CONTRADICTIONS, Flight

ERRORS_SHOWN_MAX = 5


class LineError(Exception):
    """A line that cannot be used: a reason code to count by, and a sentence for a reader."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the JSON object that `line` holds; raise LineError where it holds none."""
    if len(line) > LINE_BYTES_MAX:
        raise LineError("too_long", f"a line may have {LINE_BYTES_MAX} bytes")
    if not line.strip():
        raise LineError("blank", "the line is empty")
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise LineError("bad_encoding", str(error)) from None
    except ValueError as error:  # includes JSONDecodeError, and numbers of thousands of digits
        raise LineError("bad_json", str(error)) from None
    except RecursionError:
        raise LineError("bad_json", "nested too deeply") from None
    if not isinstance(value, dict):
        raise LineError("not_an_object", f"a JSON object is wanted, not {type(value).__name__}")
    return value


def to_flight(fields: dict[str, Any]) -> Flight:
    """Return the flight that `fields` describe; raise LineError naming the field that is wrong."""
    try:
        return Flight.model_validate(fields)
    except ValidationError as error:
        raise _explain(error) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _explain(error: ValidationError) -> LineError:
    """The first error gives the reason, which must come from a small set; all give the detail."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    sentences = []
    for problem in problems[:ERRORS_SHOWN_MAX]:
        where = str(problem["loc"][0])[:40] if problem["loc"] else "record"
        sentences.append(f"{where}: {problem['msg']}")
    return LineError(f"schema:{_code(problems[0])}", "; ".join(sentences))


def _code(problem: ErrorDetails) -> str:
    if not problem["loc"]:  # not a matter of one field
        return problem["type"] if problem["type"] in CONTRADICTIONS else "record"
    field = problem["loc"][0]
    return str(field) if field in Flight.model_fields else "unknown_field"

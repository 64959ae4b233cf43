"""Lines to send: real flights, and among them lines that are broken in known ways."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

FLIGHTS = Path(__file__).parents[1] / "data" / "flights-2013-01.csv.gz"
TEXT_FIELDS = ("carrier", "tailnum", "origin", "dest", "time_hour")
FLIGHTS_PER_BROKEN_LINE = 250

Fields = dict[str, int | str | None]


@dataclass(frozen=True, slots=True)
class Sample:
    """The lines, how many of them are flights, and how often each reason must be found in the others."""

    lines: list[bytes]
    flights: int
    rejects: Counter[str]


def read_flights() -> Iterator[Fields]:
    """Yield the rows of the CSV file, numbers as numbers and NA as None."""
    with gzip.open(FLIGHTS, "rt", encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            yield {name: _value(name, text) for name, text in row.items()}


def load_sample() -> Sample:
    """Read the flights, and put a broken line before every 250th."""
    lines: list[bytes] = []
    rejects: Counter[str] = Counter()
    ways = cycle(BROKEN.items())
    for number, fields in enumerate(read_flights()):
        if number % FLIGHTS_PER_BROKEN_LINE == 0:
            reason, break_line = next(ways)
            lines.append(break_line(fields))
            rejects[reason] += 1
        lines.append(to_line(fields))
    return Sample(lines, len(lines) - rejects.total(), rejects)


def to_line(fields: Fields) -> bytes:
    """Return a flight as the service wants it, without the newline."""
    return json.dumps(fields, separators=(",", ":")).encode()


def _value(name: str, text: str) -> int | str | None:
    if text == "NA":
        return None
    return text if name in TEXT_FIELDS else int(text)


def _without_carrier(fields: Fields) -> bytes:
    return to_line({name: value for name, value in fields.items() if name != "carrier"})


# The reason that the service must find, and how to make such a line of a good one.
BROKEN: dict[str, Callable[[Fields], bytes]] = {
    "bad_json": lambda fields: to_line(fields)[:-20],
    "bad_encoding": lambda fields: to_line(fields).replace(b'"carrier":"', b'"carrier":"\xff'),
    "not_an_object": lambda fields: json.dumps(list(fields.values())).encode(),
    "blank": lambda _: b"",
    "too_long": lambda fields: to_line(fields | {"tailnum": "N" * 70_000}),
    "schema:carrier": _without_carrier,
    "schema:distance": lambda fields: to_line(fields | {"distance": -5}),
    "schema:month": lambda fields: to_line(fields | {"month": 13}),
    "schema:flight": lambda fields: to_line(fields | {"flight": str(fields["flight"])}),
    "schema:date": lambda fields: to_line(fields | {"month": 2, "day": 30}),
    "schema:cancelled": lambda fields: to_line(fields | {"dep_time": None, "dep_delay": None, "air_time": 100}),
    "schema:unknown_field": lambda fields: to_line(fields | {"weather": "rain"}),
}

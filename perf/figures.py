"""A pyperf runner for figures: what each is, and whether the gate holds it to its baseline, stands in its metadata."""

from __future__ import annotations

import argparse
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pyperf

# What the gate does with a figure: holds it to 10 % over its baseline or to twice that, holds a ratio of with to
# without to 1.10 itself (what a feature may cost), or shows it.
Hold = Literal["tight", "loose", "overhead", "none"]

_STAMP = Path(__file__).parents[1] / "build" / "variant"


def build_name() -> str:
    """What the core was built as, in so far as it changes its speed: figures of other builds do not compare."""
    flags = [] if not _STAMP.exists() else _flags_of(_STAMP.read_text())
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        flags.append("free-threaded")
    return " ".join(flags) or "release"


def _flags_of(stamp: str) -> list[str]:
    """The switches that are on in setup.py's stamp, which reads Variant(debug=False, sanitize='', ...)."""
    settings = stamp.partition("(")[2].rstrip(")").split(", ")
    pairs = [setting.partition("=") for setting in settings]
    return [name for name, _, value in pairs if value not in ("False", "''") and name != "annotate"]


class Figures:
    """The figures of one script; `--only a,b` leaves the others out, `--kind held` (or shown) those that are not."""

    def __init__(self) -> None:
        self.runner = pyperf.Runner(loops=1, add_cmdline_args=_forward)
        self.runner.argparser.add_argument("--only", default="", help="names of figures, with commas between them")
        self.runner.argparser.add_argument("--kind", choices=["held", "shown", "all"], default="all")
        given = self.runner.parse_args()
        self._only = {name for name in given.only.split(",") if name}
        self._kind = given.kind

    def add(self, name: str, measure: Callable[[], float], hold: Hold, unit: str = "second") -> None:
        """A figure that `measure` gives. Ratios have the unit "second" too, as pyperf knows no other."""
        if self._only and name not in self._only:
            return
        if self._kind != "all" and (self._kind == "shown") != (hold == "none"):
            return
        metadata = {"hold": hold, "unit": unit, "graphflow_build": build_name()}
        self.runner.bench_time_func(name, lambda loops: sum(measure() for _ in range(loops)), metadata=metadata)


def _forward(command: list[str], arguments: argparse.Namespace) -> None:
    """Workers are told as well: they count the figures to know which one is theirs."""
    command += ["--only", arguments.only, "--kind", arguments.kind]

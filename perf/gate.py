"""The benchmark gate.

python perf/gate.py check      measure, compare with the baseline of this Python, and exit 1 on a regression
python perf/gate.py baseline --reason "..."     measure, and make that the baseline

A figure fails when it is over its limit in each of ATTEMPTS measurements: noise seldom is, code that has become slower
always. Exits 2 where there is nothing to judge by: no baseline for this Python, another build, a figure missing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import sys
import sysconfig
from pathlib import Path

import suites
import tables
from suites import Figure, Unusable
from verdicts import Verdict, compare

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# As wheels call it: a build without the GIL has figures of its own.
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}{'t' if sysconfig.get_config_var('Py_GIL_DISABLED') else ''}"
BASELINE = HERE / "baseline" / f"{PYTHON}.json"
REASONS = HERE / "baseline" / "REASONS.md"
ATTEMPTS = 3


def check(baseline_file: Path, processes: int, only: list[str]) -> int:
    """Measure and judge; returns the exit status."""
    baseline = _load_baseline(baseline_file)
    if only:
        unknown = [name for name in only if name not in baseline]
        if unknown:
            raise Unusable(f"there is no figure {', '.join(unknown)} in the baseline; it has {', '.join(baseline)}")
        baseline = {name: baseline[name] for name in only}
    now_file = RESULTS / "now.json"
    suites.run(now_file, processes, 3, only)
    verdicts = compare(baseline, suites.load(now_file))
    for attempt in range(2, ATTEMPTS + 1):
        again = [each.name for each in verdicts if each.bad]
        if not again:
            break
        print(f"attempt {attempt}, as these may be noise: {', '.join(again)}", flush=True)
        retry_file = RESULTS / f"again-{attempt}.json"
        suites.run(retry_file, processes, 3, again)
        verdicts = _better_of(verdicts, compare({name: baseline[name] for name in again}, suites.load(retry_file)))
    tables.write(RESULTS, verdicts)
    print(tables.text(verdicts))
    bad = [each for each in verdicts if each.bad]
    if bad:
        print(f"\n{len(bad)} of {len(verdicts)} figures failed: {', '.join(each.name for each in bad)}")
        return 1
    print(f"\nall {len(verdicts)} figures within their limits; files in perf/results/")
    return 0


def _load_baseline(path: Path) -> dict[str, Figure]:
    if not path.exists():
        known = ", ".join(sorted(each.stem for each in BASELINE.parent.glob("3.*.json"))) or "no Python"
        raise Unusable(
            f"there is no baseline for Python {path.stem}, so nothing is measured or judged; there is one for {known}: "
            f"use one of those, or, on an idle machine, make bench-baseline REASON='the first for this version'"
        )
    baseline = suites.load(path)
    if not any(figure.hold == "tight" for figure in baseline.values()):
        raise Unusable(f"{path} holds no gated figure: refresh it, saying why (make bench-baseline)")
    return baseline


def _better_of(before: list[Verdict], again: list[Verdict]) -> list[Verdict]:
    """The verdicts, with the better of two measurements of those that were made again."""
    retried = {each.name: each for each in again}
    return [
        retried[each.name]
        if each.name in retried and (not retried[each.name].bad or retried[each.name].now < each.now)
        else each
        for each in before
    ]


def refresh(baseline_file: Path, reason: str, processes: int) -> int:
    """Measure, and make that the baseline; the reason is kept beside it."""
    if not reason.strip():
        raise Unusable("a baseline changes for a reason: make bench-baseline REASON='what made the figures change'")
    now_file = RESULTS / "now.json"
    suites.run(now_file, processes, 3)
    suites.load(now_file)
    suites.strip(now_file, baseline_file)
    day = dt.datetime.now(tz=dt.UTC).date().isoformat()
    REASONS.parent.mkdir(parents=True, exist_ok=True)
    if not REASONS.exists():
        REASONS.write_text("# Why the baselines are what they are\n\n")
    with REASONS.open("a") as file:
        file.write(f"- {day}, {platform.python_implementation()} {platform.python_version()}: {reason.strip()}\n")
    print(f"the baseline is now {baseline_file.name}; the reason is in {REASONS.name}")
    return 0


def main() -> int:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "baseline"])
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="file to compare with, or to write")
    parser.add_argument("--reason", default="", help="for a new baseline")
    parser.add_argument("--processes", type=int, help="that measure each figure; 8, and 24 for a baseline")
    parser.add_argument("--only", default="", help="names of figures, with commas between them")
    given = parser.parse_args()
    try:
        if given.command == "baseline":
            return refresh(given.baseline, given.reason, given.processes or 24)
        return check(given.baseline, given.processes or 8, [name for name in given.only.split(",") if name])
    except Unusable as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""Variants of the build: each is a copy of the tree in build/variants/, with a core of its own and its tests.

python tools/variants.py tsan tests/unit/test_message.py     lay the copy, build its core, run these tests on it

A variant is named after the make target that runs it. The targets see to what it needs installed and pass on
PROCESSES and, in GRAPHFLOW_ARTIFACTS, the folder of what failing tests leave; JUnit's report stands beside that folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a copy is laid from, and what it keeps when it is laid anew, so that only what changed is compiled.
SOURCES = (
    *("*.py", "*.toml", "*.in", "*.md", "*.yml", ".gitlab-ci.yml", ".ci", "LICENSE", "Makefile", "CONTRIBUTING"),
    *("graphflow", "tests", "examples", "perf", "docs", "tools", "newsfragments", ".github", ".gitlab"),
)
COMPILED = (".so", ".cpp")

NOT_MEASURES = ("-m", "not measures")
RACES = ("tests/integration/test_races.py", "tests/integration/test_random_graphs.py")
SANITIZED = (
    *("tests/gates/test_planted_faults.py", "tests/unit", "tests/integration", "tests/stress"),
    *NOT_MEASURES,
)
# Those tests in which threads meet most.
SMOKED = (
    *("tests/gates/test_planted_faults.py", "tests/unit/test_edge_threads.py", "tests/unit/test_edge_waiting.py"),
    *("tests/unit/test_handles.py", *RACES),
)


@dataclass(frozen=True)
class Variant:
    """How a copy is built, and what runs on it. `{root}` is the tree's folder, `{artifacts}` that of the artifacts."""

    folder: str = ""  # in build/variants/; "" is the name of the virtual environment, as another Python has its own
    switches: dict[str, str] = field(default_factory=dict)  # of the build (see setup.py), and seen by the tests
    preload: tuple[str, ...] = ()  # gcc's libraries that the process of the tests loads before all others
    environment: dict[str, str] = field(default_factory=dict)  # of the tests alone
    arguments: tuple[str, ...] = ()  # of pytest, before those that are asked for
    unless_asked: tuple[str, ...] = ()  # of pytest, where none are asked for
    parallel: bool = True  # in PROCESSES processes
    installed: bool = False  # the tests run on an installed wheel: the copy has no package, and nothing is built


TSAN = Variant(
    folder="tsan",
    switches={"GRAPHFLOW_SANITIZE": "thread"},
    preload=("libtsan.so",),
    environment={
        "TSAN_OPTIONS": "exitcode=66 second_deadlock_stack=1 history_size=4 die_after_fork=0 "
        "suppressions={root}/tests/gates/tsan.supp",
        "PYTEST_TIMEOUT": "900",
        "STRESS_SCALE": "0.03",
    },
    arguments=("-p", "no:cacheprovider"),
    unless_asked=SANITIZED,
    parallel=False,  # a race is in the exit status of the process that had it, which nobody looks at with several
)
VARIANTS = {
    "debug-test": Variant(folder="debug", switches={"GRAPHFLOW_DEBUG": "1"}),
    "stress": Variant(
        folder="chaos",
        switches={"GRAPHFLOW_CHAOS": "1"},
        arguments=("tests/stress", *RACES, *NOT_MEASURES),
        parallel=False,
    ),
    "sim-plants": Variant(
        folder="plants", switches={"GRAPHFLOW_PLANTS": "1"}, arguments=("tests/sim/test_plants.py",), parallel=False
    ),
    "coverage": Variant(
        folder="trace",
        switches={"GRAPHFLOW_TRACE": "1"},
        environment={"PYTEST_TIMEOUT": "900"},
        arguments=("--cov", "--cov-report=json:coverage.json", "--cov-report=xml:{artifacts}/cobertura.xml"),
    ),
    "tsan": TSAN,
    "tsan-smoke": replace(TSAN, unless_asked=SMOKED),
    "asan": Variant(
        folder="asan",
        switches={"GRAPHFLOW_SANITIZE": "address"},
        preload=("libasan.so", "libstdc++.so.6"),
        environment={
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONMALLOC": "malloc",
            "PYTEST_TIMEOUT": "900",
            "STRESS_SCALE": "0.1",
        },
        arguments=("-p", "no:cacheprovider"),
        unless_asked=SANITIZED,
    ),
    "matrix-here": Variant(),
    "test-ft-here": Variant(folder="ft"),
    "test-wheel-here": Variant(folder="wheel", arguments=("-m", "not source_tree"), installed=True),
}


def lay(folder: Path) -> None:
    """Copy the tree into a folder; of what was there only what was compiled stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in list(folder.rglob("*")):
        kept = path.suffix in COMPILED or "build" in path.relative_to(folder).parts[:-1]
        if not kept and (path.is_file() or path.is_symlink()):
            path.unlink()
    left_out = shutil.ignore_patterns("__pycache__", *(f"*{suffix}" for suffix in COMPILED))
    for source in (found for pattern in SOURCES for found in ROOT.glob(pattern)):
        if source.is_dir():
            shutil.copytree(source, folder / source.name, symlinks=True, ignore=left_out, dirs_exist_ok=True)
        else:
            shutil.copy2(source, folder)


def library(name: str) -> str:
    """Return the path of one of gcc's libraries."""
    asked = ["gcc", f"-print-file-name={name}"]
    return str(Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()).resolve())


def run(name: str, asked: list[str]) -> None:
    """Lay the copy, build it, and become the process of its tests."""
    variant = VARIANTS[name]
    artifacts = os.environ.setdefault("GRAPHFLOW_ARTIFACTS", str(ROOT / "artifacts" / name))
    folder = ROOT / "build" / "variants" / (variant.folder or Path(sys.prefix).name)
    lay(folder)
    os.chdir(folder)
    os.environ.update(variant.switches)
    if variant.installed:
        shutil.rmtree("graphflow")
    else:
        built = subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"])
        if built.returncode:
            sys.exit(built.returncode)
    places = {"root": ROOT, "artifacts": artifacts}
    environment = {key: value.format(**places) for key, value in variant.environment.items()}
    if variant.preload:  # by this process on the next: a shell between the two would crash under libtsan
        environment["LD_PRELOAD"] = " ".join(map(library, variant.preload))
    command = [sys.executable, "-m", "pytest", f"--junitxml={artifacts}.xml"]
    command += ["-n", os.environ.get("PROCESSES", "2")] if variant.parallel else []
    command += [argument.format(**places) for argument in variant.arguments]
    command += asked or variant.unless_asked
    sys.stdout.flush()
    os.execve(sys.executable, command, os.environ | environment)


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in VARIANTS:
        sys.exit(f"usage: variants.py NAME [argument of pytest]..., where NAME is one of {', '.join(VARIANTS)}")
    run(sys.argv[1], sys.argv[2:])

"""The build: its switches, what it refuses, what it does again, and what a wheel holds.

Each test builds a small project with graphflow's own setup.py and one probe module.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("Cython")

ROOT = Path(__file__).parents[2]
SWITCHES = ("GRAPHFLOW_DEBUG", "GRAPHFLOW_TRACE", "GRAPHFLOW_SANITIZE", "GRAPHFLOW_ANNOTATE")
# Sanitizers are preloaded into the tests; a compiler does not run with them.
DROPPED = {*SWITCHES, "LD_PRELOAD"}

PROBE = '''
cdef extern from *:
    """
    static int with_debug(void) { return GRAPHFLOW_DEBUG; }
    """
    int with_debug() noexcept

cdef int scale(int value) noexcept nogil:
    return value * FACTOR

def debug():
    return with_debug()

def factor():
    return scale(1)
'''


class Project:
    """A copy of the build files around one module of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.core = folder / "graphflow" / "core"
        self.core.mkdir(parents=True)
        for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE"):
            shutil.copy(ROOT / name, folder)
        (folder / "README.md").write_text("probe")
        (folder / "graphflow" / "__init__.py").write_text('__version__ = "0.1.0"\n')
        (folder / "graphflow" / "py.typed").touch()
        (self.core / "__init__.py").touch()
        (self.core / "probe.pyx").write_text(PROBE)
        (self.core / "probe.pyi").write_text("def factor() -> int: ...\n")
        self.set_factor(1)

    def set_factor(self, value: int) -> None:
        """Change the .pxd, which the .pyx depends on."""
        (self.core / "probe.pxd").write_text(f"cdef enum:\n    FACTOR = {value}\n")

    def run(self, *command: str, **switches: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project's folder with the given switches and no others."""
        environment = {name: value for name, value in os.environ.items() if name not in DROPPED}
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=environment | switches,
            capture_output=True,
            text=True,
            timeout=100,
        )

    def build(self, **switches: str) -> subprocess.CompletedProcess[str]:
        """Compile in place."""
        return self.run("setup.py", "build_ext", "--inplace", **switches)

    def ask(self, question: str) -> str:
        """Import the probe in a process of its own and print what it answers."""
        done = self.run("-c", f"from graphflow.core import probe; print({question})")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def library(self) -> Path:
        """The compiled probe."""
        (found,) = self.core.glob("probe.*.so")
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


@pytest.mark.parametrize(
    ("switch", "value", "allowed"),
    [
        ("GRAPHFLOW_DEBUG", "yes", "1"),
        ("GRAPHFLOW_TRACE", "2", "1"),
        ("GRAPHFLOW_ANNOTATE", "on", "1"),
        ("GRAPHFLOW_SANITIZE", "memory", "thread or address"),
    ],
)
def test_a_switch_that_is_not_understood_is_named(project: Project, switch: str, value: str, allowed: str) -> None:
    done = project.build(**{switch: value})
    assert done.returncode != 0
    assert f"{switch}='{value}'" in done.stderr
    assert f"use {allowed}" in done.stderr
    assert "Traceback" not in done.stderr


def test_tracing_and_a_sanitizer_exclude_each_other(project: Project) -> None:
    done = project.build(GRAPHFLOW_TRACE="1", GRAPHFLOW_SANITIZE="thread")
    assert done.returncode != 0
    assert "exclude each other" in done.stderr


def test_another_cython_is_refused_with_advice(project: Project, tmp_path: Path) -> None:
    old = tmp_path / "old" / "Cython"
    old.mkdir(parents=True)
    (old / "__init__.py").write_text('__version__ = "3.2.9"\n')
    done = project.build(PYTHONPATH=str(old.parent))
    assert done.returncode != 0
    assert "needs Cython 3.3 to build, found 3.2.9" in done.stderr
    assert "pip install" in done.stderr


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("def f():\n    return g()\n    return 1\n\ndef g():\n    pass\n", "Unreachable code"),
        ("cdef void f() nogil:\n    g()\n\ncdef void g() except * nogil:\n    pass\n", "hint"),
    ],
    ids=["warning", "performance hint"],
)
def test_a_cython_warning_or_hint_stops_the_build(project: Project, code: str, complaint: str) -> None:
    (project.core / "careless.pyx").write_text(code)
    done = project.build()
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "careless.pyx" in done.stderr
    assert not list(project.core.glob("*.so"))


def test_a_build_does_again_only_what_changed(project: Project) -> None:
    assert project.build(GRAPHFLOW_DEBUG="1").returncode == 0
    assert project.ask("probe.factor()") == "1"
    first = project.library().stat().st_mtime_ns

    assert project.build(GRAPHFLOW_DEBUG="1").returncode == 0
    assert project.library().stat().st_mtime_ns == first

    project.set_factor(5)
    assert project.build(GRAPHFLOW_DEBUG="1").returncode == 0
    assert project.ask("probe.factor()") == "5"


def test_another_variant_is_built_from_nothing(project: Project) -> None:
    assert project.build(GRAPHFLOW_DEBUG="1").returncode == 0
    assert project.ask("probe.debug()") == "1"
    assert project.build().returncode == 0
    assert project.ask("probe.debug()") == "0"


def test_a_wheel_holds_stubs_declarations_and_libraries_and_no_generated_code(
    project: Project,
) -> None:
    wheel = ("-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist")
    done = project.run(*wheel, GRAPHFLOW_DEBUG="1")
    assert done.returncode == 0, done.stderr
    (path,) = (project.folder / "dist").glob("graphflow-*.whl")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    for name in ("__init__.py", "py.typed", "core/probe.pyi", "core/probe.pxd"):
        assert f"graphflow/{name}" in names
    assert any(name.startswith("graphflow/core/probe.") and name.endswith(".so") for name in names)
    assert not [name for name in names if name.endswith((".cpp", ".html"))]


@pytest.mark.source_tree
def test_a_missing_core_says_what_to_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "graphflow", tmp_path / "graphflow", ignore=shutil.ignore_patterns("*.so", "*.cpp"))
    done = subprocess.run(
        [sys.executable, "-c", "import graphflow"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: graphflow's compiled core is missing")
    assert "`pip install .`" in message
    assert "`make build`" in message

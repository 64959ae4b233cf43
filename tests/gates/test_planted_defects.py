"""The gates of lint, types and exports are red on a planted defect, in a copy of the tree, and name the place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("graphflow", "tests", "examples", "perf", "docs", "tools", ".mypy_cache")  # the last makes it quick

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Plant:
    """A defect: `text` replaces `said` in a file, or is added at its end; `complaint` is in what the gate prints."""

    gate: str
    path: str
    text: str
    complaint: str
    said: str = ""

    def put_into(self, tree: Path) -> None:
        file = tree / self.path
        before = file.read_text()
        assert self.said in before
        file.write_text(before.replace(self.said, self.text, 1) if self.said else before + self.text)


PLANTS = {
    "an import that nothing uses": Plant("lint", "graphflow/base/arguments.py", "\nimport os\n", "F401"),
    "a line laid out otherwise": Plant("lint", "graphflow/base/arguments.py", "\nplanted = [1,2]\n", "reformat"),
    "a local that nothing reads": Plant(
        "lint", "graphflow/core/sync/clock.pyx", "\n\ndef planted():\n    unread = 1\n", "clock.pyx"
    ),
    "a str for an int": Plant("typecheck", "graphflow/base/arguments.py", '\nplanted: int = "one"\n', "arguments.py"),
    "a test that passes a wrong type": Plant(
        "typecheck", "tests/timing.py", "\nplanted: list[int] = Path()\n", "timing.py"
    ),
    "a function that only the stub has": Plant(
        "exports", "graphflow/core/edges/edge.pyi", "\ndef planted() -> None: ...\n", "planted"
    ),
    "a method of another name": Plant(
        "exports",
        "graphflow/core/edges/edge.pyi",
        "    def is_filled(self) -> bool:\n",
        "is_filled",
        said="    def is_full(self) -> bool:\n",
    ),
    "a parameter of another name": Plant(
        "exports", "graphflow/core/edges/edge.pyi", "targeted_node: str", "Edge", said="target_node: str"
    ),
    "a public function without types": Plant(
        "exports",
        "graphflow/base/arguments.py",
        "\n\ndef planted(value):\n    return value\n",
        "graphflow.base.arguments.planted",
    ),
    "a public name that __all__ lacks": Plant("exports", "graphflow/__init__.py", "\nplanted: int = 1\n", "planted"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree as it is built."""
    for folder in FOLDERS:
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    for file in ("Makefile", "setup.py", "pyproject.toml", "README.md"):
        shutil.copy2(ROOT / file, tmp_path)
    for built in (ROOT / "build").glob("lib.*"):
        shutil.copytree(built, tmp_path / "build" / built.name)
    shutil.copy2(ROOT / "build" / "variant", tmp_path / "build")
    return tmp_path


@pytest.mark.parametrize("defect", PLANTS)
def test_a_gate_is_red_on_a_planted_defect(defect: str, tree: Path) -> None:
    plant = PLANTS[defect]
    plant.put_into(tree)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", plant.gate, f"VENV={sys.prefix}"], cwd=tree, env=environment, capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    assert done.returncode == 2, said
    assert plant.complaint in said

"""The variants of the build: each is run by the make target of its name, and its copy is the tree as it is now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

import variants

ROOT = variants.ROOT


def test_each_is_run_by_the_target_of_its_name() -> None:
    found = re.findall(r"^([a-z -]+):.*\n(?:\t.*\n)*\t.*\$\(VARIANT\)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(" ".join(found).split()) == sorted(variants.VARIANTS)


def test_a_copy_keeps_what_was_compiled_and_nothing_else_that_the_tree_has_no_more(tmp_path: Path) -> None:
    kept = ("graphflow/core/old.so", "graphflow/core/old.cpp", "build/temp/old.o")
    gone = ("graphflow/old.py", "coverage.json")
    for name in (*kept, *gone):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    variants.lay(tmp_path)
    assert [name for name in (*kept, *gone) if (tmp_path / name).exists()] == list(kept)
    copied = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} - set(kept)
    tracked = {"Makefile", ".ci/gates", ".gitlab-ci.yml", "setup.py", "graphflow/__init__.py", "tools/variants.py"}
    assert tracked - copied == set()
    assert [name for name in copied if name.endswith((".so", ".cpp", ".pyc"))] == []
    source = ROOT / "setup.py"
    assert (tmp_path / "setup.py").stat().st_mtime == source.stat().st_mtime, "or all of it would be compiled again"


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_one_that_is_not_in_the_table_is_refused_by_naming_those_that_are(arguments: list[str]) -> None:
    program = ROOT / "tools" / "variants.py"
    done = subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "tsan-smoke, asan" in done.stderr

"""The README's code runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_first_graph_runs_as_printed_and_is_short() -> None:
    assert run(BLOCKS[0]) == ["0", "1", "4", "9", "16", "completed"]
    assert len(BLOCKS[0].splitlines()) < 25


def test_feeding_from_other_threads_prints_what_the_comments_say() -> None:
    assert run(BLOCKS[1]) == ["control: flush", "42 [2, 1]"]


def test_the_coroutines_print_what_the_comment_says() -> None:
    assert run(BLOCKS[2]) == ["[0, 1, 4, 9, 16]"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_are_named(command: str) -> None:
    assert command in README

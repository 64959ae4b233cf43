"""Requirements as pip reads them: the lists of pyproject.toml, their one home, that are named on the command line.

python tools/requirements.py build test | python -m pip install -r /dev/stdin

`build` is what the build requires, all else an extra. With LOWEST=1 in the environment, the oldest versions admitted.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
LISTS: dict[str, list[str]] = {
    **PROJECT["project"]["optional-dependencies"],
    "build": PROJECT["build-system"]["requires"],
}


def requirements(name: str) -> Iterator[str]:
    """Yield the lines of a list, those of the lists that it includes among them."""
    for line in LISTS[name]:
        if line.startswith("graphflow["):
            for other in line.removeprefix("graphflow[").removesuffix("]").split(","):
                yield from requirements(other)
        else:
            yield re.sub(r">=([\w.]+)(,<[\w.]+)?", r"==\1", line) if os.environ.get("LOWEST") else line


if __name__ == "__main__":
    print(*(line for name in sys.argv[1:] for line in requirements(name)), sep="\n")

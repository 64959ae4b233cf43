"""Each example of the pages in docs/ runs by itself, and prints what the page says: in the text block after it, where
`...` stands for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from api_reference import page as api_page

ROOT = Path(__file__).parents[2]
if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

PAGES = sorted((ROOT / "docs").glob("*.md"))
# No examples in these: an index, what is made from the docstrings, a table of tests, a table of words.
EXEMPT = {"README.md", "api.md", "requirements.md", "glossary.md"}
EXAMPLE = re.compile(r"```python\n(.*?)```\n+(?:```text\n(.*?)```)?", re.DOTALL)


def examples() -> list[ParameterSet]:
    found = []
    for page in PAGES:
        for number, (code, printed) in enumerate(EXAMPLE.findall(page.read_text()), start=1):
            found.append(pytest.param(code, printed, id=f"{page.stem}-{number}"))
    return found


def matches(printed: str, line: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in line.split("..."))
    return re.fullmatch(pattern, printed) is not None


@pytest.mark.parametrize(("code", "printed"), examples())
def test_an_example_prints_what_the_page_says(code: str, printed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines, said = done.stdout.splitlines(), printed.splitlines()
    assert len(lines) == len(said), done.stdout
    assert [pair for pair in zip(lines, said, strict=True) if not matches(*pair)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in EXEMPT], ids=lambda page: page.stem)
def test_every_page_has_an_example_and_is_short(page: Path) -> None:
    text = page.read_text()
    assert EXAMPLE.search(text)
    assert len(text.splitlines()) <= 150


def test_the_api_reference_says_what_the_docstrings_say() -> None:
    assert (ROOT / "docs" / "api.md").read_text() == api_page(), "docs/api.md is out of date: run make docs-api"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES if f"]({page.name})" not in index and page.name != "README.md"] == []


LINKED = [*PAGES, *ROOT.glob("*.md"), *(ROOT / "CONTRIBUTING").glob("*.md"), *sorted((ROOT / "docs").glob("*/*.md"))]
LINKED.append(ROOT / "newsfragments" / "README.md")


@pytest.mark.parametrize("page", LINKED, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file that is there, and a heading that is in it."""
    for target in re.findall(r"\]\((?!https?:)([^)#\s]*(?:#[\w-]+)?)\)", page.read_text()):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], target


def test_every_decision_is_in_the_index() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    records = {page.name for page in folder.glob("*.md")} - {"README.md"}
    assert [name for name in sorted(records) if f"]({name})" not in index] == []


def test_every_page_stands_on_a_shelf() -> None:
    """The nav of mkdocs.yml, read as text: the tests bring no parser of YAML."""
    nav = re.findall(r"(?<= )[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text())
    pages = sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    assert sorted(nav) == pages

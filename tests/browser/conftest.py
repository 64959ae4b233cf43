"""A browser for the tests, and a page in it that holds every error against the test."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright  # pyright: ignore[reportMissingImports]
from tabs import DEADLINE_S, Tab

from examples.ingest_service.service import IngestService, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# It does nothing of its own accord. Its sandbox needs rights that a container does not give; the pages are our own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, with a new empty profile; it is the system's, none is downloaded."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("these tests need Chromium, as chromium on PATH: apt-get install chromium", pytrace=False)
    expect.set_options(timeout=1000 * DEADLINE_S)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Tab]:
    """An empty tab; after the test the browser must have found no error in it."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    tab = Tab(context.new_page())
    yield tab
    context.close()
    assert tab.errors == []


@pytest.fixture
def service(tmp_path: Path) -> Iterator[IngestService]:
    running = IngestService(Settings(tmp_path / "flights.db", lines_capacity=256))
    running.start()
    yield running
    running.stop()

"""The live page as a test sees it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import expect  # pyright: ignore[reportMissingImports]

HOST = "127.0.0.1"
DEADLINE_S = 30.0
WIDTHS = (1200, 800)
COLOURS = ("light", "dark")
SCREENSHOTS = Path(os.environ.get("GRAPHFLOW_ARTIFACTS", "artifacts")) / "browser"


class Tab:
    """A page, and the errors that the browser has found in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.may_be_refused = False  # the browser takes a server that is gone for an error of the page
        page.set_default_timeout(1000 * DEADLINE_S)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: Any) -> None:
        refused = self.may_be_refused and message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not refused:
            self.errors.append(message.text)

    def look(self, width: int, colours: str) -> None:
        """Take on a width in pixels, and light or dark."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=colours, reduced_motion="reduce")

    def open(self, port: int) -> None:
        self.page.goto(f"http://{HOST}:{port}/")

    def status(self) -> Any:
        return expect(self.page.get_by_role("status"))

    def cell(self, row: str, column: str) -> Any:
        """What the tables say of an edge or a node."""
        head = self.page.get_by_role("rowheader", name=row, exact=True)
        head.wait_for()
        names: list[str] = self.page.get_by_role("table").filter(has=head).get_by_role("columnheader").all_inner_texts()
        return self.page.get_by_role("row").filter(has=head).get_by_role("cell").nth(names.index(column) - 1)

    def picture_of(self, name: str) -> Any:
        """What is drawn of an edge or a node."""
        title = self.page.locator("title", has_text=re.compile(f"^{re.escape(name)}$"))
        return self.page.locator("svg g").filter(has=title)

    def shoot(self, name: str) -> None:
        """Keep a picture of the whole page in each width and colour."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        for width in WIDTHS:
            for colours in COLOURS:
                self.look(width, colours)
                path = SCREENSHOTS / f"{name}-{width}-{colours}.png"
                path.write_bytes(self.page.screenshot(full_page=True))

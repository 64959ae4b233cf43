"""The live page in a browser: it shows what the service does, says what is blocked, and knows when it has lost it."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

from playwright.sync_api import expect  # pyright: ignore[reportMissingImports]
from tabs import DEADLINE_S, HOST, Tab

from examples.ingest_service.client import control, send_lines
from examples.ingest_service.http_server import HttpError, HttpServer, Routes
from examples.ingest_service.live import EVENT_S, live_events, live_page
from examples.ingest_service.sample import load_sample
from examples.ingest_service.service import IngestService, Settings
from examples.ingest_service.streams import Stream
from graphflow import Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from pathlib import Path

ENTRANCE = "input:lines->parse:lines"
FLIGHTS = "validate:flights->writer:flights"
LINES = load_sample().lines[:6000]


def filled(tab: Tab, edge: str) -> float:
    """The share of an edge's bar that is filled."""
    share: float = tab.picture_of(edge).evaluate(
        "edge => edge.querySelector('.fill').getBoundingClientRect().width / "
        "edge.querySelector('.track').getBoundingClientRect().width"
    )
    return share


def painted(tab: Tab, edge: str, part: str, style: str) -> str:
    """The colour of a part of an edge."""
    colour: str = tab.picture_of(edge).locator(part).evaluate("(part, style) => getComputedStyle(part)[style]", style)
    return colour


def test_numbers_and_lines_follow_what_is_sent(service: IngestService, tab: Tab) -> None:
    tab.open(service.http.port)
    tab.status().to_have_text("Running. No edge is blocked.")
    expect(tab.page).to_have_title("ingest - graphflow")
    expect(tab.page.get_by_role("heading")).to_have_text("ingest")
    expect(tab.picture_of(ENTRANCE)).to_contain_text("0 of 256")
    expect(tab.picture_of("parse")).to_contain_text("parse")
    tab.picture_of("parse").evaluate("""parse => {
        window.seen = new Set();
        new MutationObserver(() => seen.add(parse.textContent)).observe(parse, { subtree: true, childList: true });
    }""")
    assert send_lines((HOST, service.tcp.port), LINES).accepted == 6000
    tab.shoot("running")
    expect(tab.cell(ENTRANCE, "Delivered")).to_have_text("6,000")
    expect(tab.cell("parse", "Messages")).to_have_text("6,000")
    expect(tab.cell(ENTRANCE, "Depth")).to_have_text("0")
    expect(tab.cell(ENTRANCE, "Dropped")).to_have_text("0")
    expect(tab.cell(ENTRANCE, "State")).to_have_text("idle")
    expect(tab.picture_of(ENTRANCE)).to_have_class("edge idle")
    expect(tab.picture_of("parse")).to_contain_text("0/s")
    assert tab.page.evaluate("[...seen].some(text => /[1-9][0-9,.]*\\/s/.test(text))"), "the rate has moved"


def test_a_blocked_edge_is_marked_in_words_and_in_red_until_it_has_drained(service: IngestService, tab: Tab) -> None:
    http = (HOST, service.http.port)
    tab.open(service.http.port)
    expect(tab.picture_of(FLIGHTS)).to_contain_text("0 of 1,024")
    control(http, "pause")
    sender = threading.Thread(target=send_lines, args=((HOST, service.tcp.port), LINES))
    sender.start()
    try:
        expect(tab.picture_of(FLIGHTS)).to_contain_text("1,024 of 1,024")
        expect(tab.picture_of(FLIGHTS)).to_contain_text("BLOCKED")
        expect(tab.cell(FLIGHTS, "State")).to_have_text("BLOCKED")
        tab.status().to_contain_text("Paused: writer. Blocked: ")
        tab.status().to_contain_text(FLIGHTS)
        expect(tab.picture_of("writer")).to_contain_text("paused")
        tab.shoot("blocked")
        assert filled(tab, FLIGHTS) == 1
        word = painted(tab, FLIGHTS, ".word", "fill")
        assert painted(tab, FLIGHTS, ".path", "stroke") == painted(tab, FLIGHTS, ".fill", "fill") == word
        assert painted(tab, "count:sums->writer:sums", ".fill", "fill") != word
    finally:
        control(http, "resume")
        sender.join()
    expect(tab.cell(ENTRANCE, "Delivered")).to_have_text("6,000")
    expect(tab.picture_of(FLIGHTS)).to_contain_text("0 of 1,024")
    expect(tab.picture_of(FLIGHTS)).not_to_contain_text("BLOCKED")
    tab.status().to_have_text("Running. No edge is blocked.")
    assert filled(tab, FLIGHTS) == 0


def test_the_page_says_that_the_service_has_stopped_and_goes_on_when_it_runs_again(
    service: IngestService, tab: Tab, tmp_path: Path
) -> None:
    tab.open(service.http.port)
    send_lines((HOST, service.tcp.port), LINES[:1000])
    expect(tab.cell(ENTRANCE, "Delivered")).to_have_text("1,000")
    tab.may_be_refused = True
    assert service.stop().complete
    tab.status().to_contain_text("The service has stopped, at ")
    expect(tab.cell(ENTRANCE, "Delivered")).to_have_text("1,000")
    tab.shoot("stopped")
    again = IngestService(Settings(tmp_path / "flights.db", http_port=service.http.port))
    again.start()
    try:
        tab.status().to_have_text("Running. No edge is blocked.")
        expect(tab.cell(ENTRANCE, "Delivered")).to_have_text("0")
    finally:
        again.stop()


class Unsteady:
    """A server of the page whose events break off, and are refused, as the test wants it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.breaks = self.refuses = False
        self.goes_on = threading.Event()  # while it is not set, connections stand and nothing comes
        self.goes_on.set()
        routes: Routes = {("GET", "/"): lambda _: live_page(), ("GET", "/events"): lambda _: self._events()}
        self.http = HttpServer((HOST, 0), routes)
        self.http.start()

    def _events(self) -> Stream:
        if self.refuses:
            raise HttpError(503, "8 viewers are connected <b>already</b>")
        events = live_events(self.scheduler)

        def chunk(last: bool) -> bytes:
            if self.breaks:
                raise ConnectionAbortedError("as the test wants it")
            self.goes_on.wait(DEADLINE_S)
            return events.chunk(last)

        return Stream(chunk, EVENT_S, events.content_type)


def graph_of(*names: str) -> Scheduler:
    """A chain of nodes, not running."""
    graph = Subgraph.from_nodes("chain", [Node.with_ports(name, ["in"], ["out"]) for name in names])
    for source, target in itertools.pairwise(names):
        graph.connect((source, "out"), (target, "in"))
    graph.expose_input("in", (names[0], "in"))
    graph.expose_output("out", (names[-1], "out"))
    scheduler = Scheduler()
    scheduler.register(graph)
    return scheduler


def test_a_lost_connection_is_told_from_a_stop_and_made_again(tab: Tab) -> None:
    server = Unsteady(graph_of("first", "second"))
    try:
        tab.open(server.http.port)
        expect(tab.picture_of("second")).to_contain_text("second")
        tab.status().to_contain_text("The service is new.")
        tab.may_be_refused = True
        server.refuses = server.breaks = True
        tab.status().to_contain_text("The service answers: 8 viewers are connected <b>already</b>. Trying again.")
        server.refuses = False
        tab.status().to_contain_text("The connection was lost, at ")
        server.breaks = False
        tab.status().to_contain_text("The service is new.")
    finally:
        server.http.close()


def test_a_connection_on_which_nothing_comes_is_taken_for_lost(tab: Tab) -> None:
    server = Unsteady(graph_of("first", "second"))
    try:
        tab.open(server.http.port)
        tab.status().to_contain_text("The service is new.")
        server.goes_on.clear()
        tab.status().to_contain_text("The connection was lost, at ")
        server.goes_on.set()
        tab.status().to_contain_text("The service is new.")
    finally:
        tab.may_be_refused = True
        server.goes_on.set()
        server.http.close()


def test_a_page_that_nobody_sees_holds_no_connection(tab: Tab) -> None:
    server = Unsteady(graph_of("first", "second"))

    def hide(hidden: bool) -> None:
        tab.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    def wait_for_viewers(number: int) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while len(server.http.streams) != number:
            assert time.monotonic() < deadline, len(server.http.streams)
            tab.page.wait_for_timeout(10)

    try:
        tab.open(server.http.port)
        wait_for_viewers(1)
        hide(True)
        wait_for_viewers(0)
        hide(False)
        wait_for_viewers(1)
    finally:
        tab.may_be_refused = True
        server.http.close()


def test_names_are_text_whatever_they_hold(tab: Tab) -> None:
    name = "<img src=x onerror=alert(1)>"
    server = Unsteady(graph_of("first", name))
    try:
        tab.page.on("dialog", lambda dialog: tab.errors.append(dialog.message))
        tab.open(server.http.port)
        expect(tab.cell(name, "Messages")).to_have_text("0")
        expect(tab.picture_of(name)).to_contain_text("<img")
        assert tab.page.locator("img").count() == 0
    finally:
        server.http.close()

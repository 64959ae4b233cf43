"""How the live page is laid out: nothing is clipped, nothing lies on something else, and all of it can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect  # pyright: ignore[reportMissingImports]
from tabs import COLOURS, HOST, WIDTHS, Tab

from examples.ingest_service.http_server import HttpServer, Routes
from examples.ingest_service.live import live_events, live_page
from graphflow import Node, Scheduler, Subgraph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.ingest_service.service import IngestService

HERE = Path(__file__).parent
OVERLAPS = (HERE / "overlaps.js").read_text("utf-8")
CONTRAST = (HERE / "contrast.js").read_text("utf-8")
CONTRAST_MIN = 4.5  # the guidelines' for text, level AA


def is_laid_out_well(tab: Tab) -> None:
    assert tab.page.evaluate(OVERLAPS) == []


def can_be_read(tab: Tab) -> None:
    contrast, text = tab.page.evaluate(CONTRAST)
    assert contrast >= CONTRAST_MIN, text


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_services_graph_has_room_and_can_be_read(
    service: IngestService, tab: Tab, width: int, colours: str
) -> None:
    tab.look(width, colours)
    tab.open(service.http.port)
    tab.status().to_have_text("Running. No edge is blocked.")
    is_laid_out_well(tab)
    can_be_read(tab)


# The page is handed a reading of its own service, with everything in it as bad, and as long, as it gets.
WORST = """async () => {
    disconnect();
    const reading = await new Promise((resolve) => {
        const events = new EventSource("events");
        events.addEventListener("reading", (event) => { events.close(); resolve(JSON.parse(event.data)); });
    });
    const many = { offered: 98765432, delivered: 98763384, messages: 98763384, rate: 123456.7 };
    for (const edge of reading.edges) Object.assign(edge, many, { depth: edge.capacity, blocked: true });
    for (const node of reading.nodes) Object.assign(node, many, { busy: 1, errors: 1234, state: "backing off" });
    for (let again = 0; again < STEADY; again++) say(...sentence(reading));
    take(reading);
}"""


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("width", WIDTHS)
def test_full_edges_and_great_numbers_have_room_and_can_be_read(
    service: IngestService, tab: Tab, width: int, colours: str
) -> None:
    tab.look(width, colours)
    tab.open(service.http.port)
    tab.status().to_have_text("Running. No edge is blocked.")
    tab.page.evaluate(WORST)
    assert tab.page.get_by_text("BLOCKED", exact=True).count() == 2 * len(list(service.graph.edges))
    is_laid_out_well(tab)
    can_be_read(tab)


def woven(rows: int, columns: int) -> Subgraph:
    """Rows of nodes, each joined with two of the next row, and some with the last row, too."""
    names = [[f"a node with a long name {row} {column}" for column in range(columns)] for row in range(rows)]
    graph = Subgraph.from_nodes("woven", [Node.with_ports(name, ["in"], ["out"]) for row in names for name in row])
    for row in range(rows - 1):
        for column in range(columns):
            source = (names[row][column], "out")
            graph.connect(source, (names[row + 1][column], "in"))
            graph.connect(source, (names[row + 1][(column + 1) % columns], "in"), capacity=1_000_000)
            if row + 2 < rows and column == 0:
                graph.connect(source, (names[-1][column], "in"))
    for column in range(columns):
        graph.expose_input(f"in {column}", (names[0][column], "in"))
        graph.expose_output(f"out {column}", (names[-1][column], "out"))
    return graph


@pytest.fixture
def serve() -> Iterator[Callable[[Subgraph], int]]:
    """Shows a graph that does not run; gives the port."""
    servers: list[HttpServer] = []

    def start(graph: Subgraph) -> int:
        scheduler = Scheduler()
        scheduler.register(graph)
        routes: Routes = {("GET", "/"): lambda _: live_page(), ("GET", "/events"): lambda _: live_events(scheduler)}
        servers.append(HttpServer((HOST, 0), routes))
        servers[-1].start()
        return servers[-1].port

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (4, 2), (6, 3)])
def test_other_graphs_have_room_too(tab: Tab, serve: Callable[[Subgraph], int], rows: int, columns: int) -> None:
    graph = woven(rows, columns)
    edges = len(list(graph.edges))
    tab.may_be_refused = True  # the server goes first
    tab.open(serve(graph))
    expect(tab.page.locator("svg .edge")).to_have_count(edges)
    is_laid_out_well(tab)


def test_the_picture_and_the_tables_have_names_for_who_cannot_see_them(service: IngestService, tab: Tab) -> None:
    tab.open(service.http.port)
    expect(tab.page.get_by_role("img", name="The graph")).to_be_visible()
    for name, rows in (("Edges, in messages", service.graph.edges), ("Nodes", service.scheduler.snapshot().nodes)):
        expect(tab.page.get_by_role("table", name=name).get_by_role("row")).to_have_count(1 + len(list(rows)))
    expect(tab.page.get_by_role("status")).to_have_attribute("aria-live", "polite")


def test_nothing_is_built_or_said_again_while_nothing_is_new(service: IngestService, tab: Tab) -> None:
    tab.open(service.http.port)
    tab.status().to_have_text("Running. No edge is blocked.")
    counts: Any = tab.page.evaluate("""async () => {
        let built = 0, said = 0;
        const uptimes = new Set(), uptime = document.getElementById("uptime");
        const watch = (element, see) => new MutationObserver(see).observe(element, { subtree: true, childList: true });
        watch(document.body, (records) => {
            for (const { addedNodes } of records) for (const node of addedNodes) built += node instanceof Element;
        });
        watch(document.getElementById("status"), () => { said += 1; });
        watch(uptime, () => uptimes.add(uptime.textContent));
        while (uptimes.size < 2) await new Promise((resolve) => { setTimeout(resolve, 20); });
        return { built, said };
    }""")
    assert counts == {"built": 0, "said": 0}

"""The commands: check, draw, run."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

import graphflow
from graphflow.base.errors import GraphflowError, GraphValidationError
from graphflow.cli.loading import LoadError, load, refusals
from graphflow.cli.running import run_watched
from graphflow.draw.dot import write_dot
from graphflow.draw.mermaid import write_mermaid
from graphflow.draw.picture import Picture
from graphflow.graph.picture import picture_of
from graphflow.graph.plan import check as issues_of
from graphflow.graph.plan import check_handlers, check_outboxes
from graphflow.graph.subgraph import Subgraph
from graphflow.runtime.config import SchedulerConfig
from graphflow.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    from graphflow.base.issues import ValidationIssue
    from graphflow.graph.node import Node

PLACE = click.argument("place", metavar="MODULE:FACTORY")


def command(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        status = cli(arguments, prog_name="graphflow", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return status if isinstance(status, int) else 0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(graphflow.__version__, prog_name="graphflow")
def cli() -> None:
    """Check, draw and run graphs.

    FACTORY is a Subgraph, a Node, an iterable of these, a Scheduler, or a callable without arguments that returns one;
    MODULE is found in the current folder, too.
    """


@cli.command()
@PLACE
def check(place: str) -> int:
    """Say everything that is wrong with a graph.

    Exit status 1 if there are errors, 0 if there are none (warnings do not count).
    """
    issues, items, config = _judged(place)
    if not any(issue.level == "error" for issue in issues):
        issues += [*check_handlers(items), *check_outboxes(items, config.outbox_limit)]
    if not issues:
        click.echo("no issues")
        return 0
    table = Table(box=None, pad_edge=False, header_style="underline")
    for name in ("level", "code", "message"):
        table.add_column(name, overflow="fold", no_wrap=name != "message")
    for issue in issues:
        table.add_row(issue.level, issue.code, issue.message)
    Console(markup=False, highlight=False).print(table)
    return int(any(issue.level == "error" for issue in issues))


def _judged(place: str) -> tuple[list[ValidationIssue], list[Subgraph | Node], SchedulerConfig]:
    """What is wrong with a graph (all that was refused while it was built, and what `validate` finds), the graph, and
    the settings that it would run with."""
    settings = SchedulerConfig()
    with refusals() as refused:
        try:
            found = load(place)
        except GraphValidationError as error:
            return list(dict.fromkeys([*refused, *error.issues])), [], settings
        except LoadError:  # as likely as not for what has been refused: that comes first
            if not refused:
                raise
            return list(dict.fromkeys(refused)), [], settings
    items = _items(found)
    if isinstance(found, Scheduler):
        settings = found.config
    return list(dict.fromkeys([*refused, *issues_of(items)])), items, settings


@cli.command()
@PLACE
@click.option("--format", "kind", type=click.Choice(["mermaid", "dot"]), default="mermaid", show_default=True)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else it is printed."
)
def draw(place: str, kind: str, output: Path | None) -> None:
    """Draw a graph, for Mermaid or for Graphviz."""
    try:
        picture = _picture(_items(load(place)))
    except GraphValidationError as error:
        raise LoadError(f"{place} is no valid graph: {error}") from None
    text = write_mermaid(picture) if kind == "mermaid" else write_dot(picture)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise LoadError(f"{output} cannot be written: {error}") from None


@cli.command()
@PLACE
@click.option("--workers", type=click.IntRange(1, 1024), help="Worker threads; else the scheduler's own, or 2.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Drain after so many seconds."
)
@click.option(
    "--refresh", type=click.FloatRange(min=0.05), default=0.5, show_default=True, metavar="S", help="Seconds."
)
@click.option(
    "--table/--no-table", default=None, help="Live table, or a line at each refresh; else what fits the output."
)
def run(place: str, workers: int | None, duration: float | None, refresh: float, table: bool | None) -> int:
    """Run a graph and show what it does.

    Without --table or --no-table there is a table where the output is a terminal. Ctrl-C and SIGTERM drain; a second
    one stops at once. Exit status 0 if nothing was left behind, 1 if something was or an error stopped the graph, 130
    after Ctrl-C.
    """
    logging.getLogger("graphflow").setLevel(logging.INFO)
    try:
        return run_watched(
            lambda: _scheduler(load(place), workers), refresh_s=refresh, duration_s=duration, table=table
        )
    except GraphflowError as error:
        raise LoadError(f"{place} cannot run: {error}") from None


def _scheduler(found: Scheduler | list[Subgraph | Node], workers: int | None) -> Scheduler:
    if isinstance(found, Scheduler):
        if workers is not None:
            found.config = dataclasses.replace(found.config, workers=workers)
        return found
    scheduler = Scheduler(SchedulerConfig() if workers is None else SchedulerConfig(workers=workers))
    for item in found:
        scheduler.register(item)
    return scheduler


def _items(found: Scheduler | list[Subgraph | Node]) -> list[Subgraph | Node]:
    return found.items if isinstance(found, Scheduler) else found


def _picture(items: list[Subgraph | Node]) -> Picture:
    """All that would run, in one picture."""
    graphs = [item if isinstance(item, Subgraph) else Subgraph.from_nodes(item.name, [item]) for item in items]
    pictures = [picture_of(graph) for graph in graphs]
    boxes = [box for picture in pictures for box in picture.boxes]
    arrows = [arrow for picture in pictures for arrow in picture.arrows]
    return Picture(", ".join(picture.title for picture in pictures), boxes, arrows)

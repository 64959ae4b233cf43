"""A pytest plugin: tests that are known to fail now and then, and are being looked into.

`@pytest.mark.flaky_quarantine("reason")` needs an entry for the test in QUARANTINE.md. Such a test is run once more if
it fails, and what became of it is in the summary either way. No other test is ever run again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

ENTRIES = Path(__file__).with_name("QUARANTINE.md")

PROPERTY = "quarantine"  # of the report of a test: what became of it


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quarantine", action="store_true", help="run the tests in quarantine, and no others")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "flaky_quarantine(reason): fails now and then; tracked in tests/QUARANTINE.md, tried twice at most"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run those in quarantine, or all others. Each has a reason and an entry; an error of usage otherwise."""
    for item in items:
        marker = item.get_closest_marker("flaky_quarantine")
        if marker is None:
            continue
        if not (len(marker.args) == 1 and isinstance(marker.args[0], str) and marker.args[0].strip()):
            raise pytest.UsageError(f"{item.nodeid}: flaky_quarantine needs a reason, a str")
        if not is_tracked(item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} is in quarantine without an entry in {ENTRIES.name}")
    asked = config.getoption("--quarantine")
    apart = [item for item in items if (item.get_closest_marker("flaky_quarantine") is None) == asked]
    if apart:
        config.hook.pytest_deselected(items=apart)
        items[:] = [item for item in items if (item.get_closest_marker("flaky_quarantine") is not None) == asked]


def is_tracked(nodeid: str) -> bool:
    """Has QUARANTINE.md a row whose first cell is this test?"""
    rows = [line.split("|") for line in ENTRIES.read_text().splitlines() if line.startswith("|")]
    return any(row[1].strip().strip("`") == nodeid.partition("[")[0] for row in rows)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a quarantined test, and once more if it fails; all others as ever."""
    if item.get_closest_marker("flaky_quarantine") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=item, log=False)
    outcome = "passed"
    if any(report.failed for report in reports):
        first = next(report for report in reports if report.failed)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        outcome = "failed twice" if any(report.failed for report in reports) else "passed the second time"
        outcome += f"; the first time: {str(first.longrepr).splitlines()[-1]}"
    for report in reports:
        if report.when == "teardown":
            report.user_properties.append((PROPERTY, outcome))
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """What became of the quarantined tests, in whichever process they ran."""
    lines = [
        f"{report.nodeid}: {outcome}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, outcome in report.user_properties
        if name == PROPERTY
    ]
    if lines:
        terminalreporter.section("quarantine")
        for line in lines:
            terminalreporter.write_line(line)

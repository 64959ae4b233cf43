"""docs/requirements.md points at what exists, and at every test that the milestone names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
SUITES = ("unit/", "integration/", "stress/", "soak/", "gates/", "perf/test_")
ROW = re.compile(r"^\| (?!asked for|---)(.+?) \| (.+) \|$", re.MULTILINE)
# As the milestone spells them.
NAMED = {
    "unit/test_edge_policies": [
        "test_block_applies_backpressure_until_get",
        "test_drop_increments_counter_and_preserves_depth",
        "test_latest_keeps_only_newest_during_burst",
        "test_coalesce_merges_fast_and_is_pure",
    ],
    "unit/test_scheduler_priority": [
        "test_control_plane_preempts_data_plane",
        "test_fairness_within_priority_band_round_robin",
        "test_pq_edge_cases_and_starvation_avoidance",
    ],
    "unit/test_scheduler_pq_edge_cases": [
        "test_deduplication_on_reenqueue",
        "test_fifo_within_band_under_reenqueue",
        "test_ratio_bias_prefers_control_but_services_lower_bands",
        "test_fallback_selects_any_available_band",
        "test_bounded_skew_two_nodes_same_band",
    ],
    "integration/test_backpressure_end_to_end": ["test_producer_slowed_by_block_policy_slow_consumer"],
    "integration/test_priority_preemption_under_load": ["test_control_pierces_data_under_sustained_load"],
    "integration/test_mixed_overflow_policies": ["test_latest_and_drop_under_burst_with_bounded_depth"],
    "integration/test_shutdown_semantics": ["test_graceful_shutdown_respects_policies_and_timeout_and_ordering"],
    "stress/test_throughput_and_latency": ["test_scheduler_loop_latency_under_load_with_budgets"],
    "soak/test_long_running_stability": ["test_no_memory_growth_over_time"],
}


def references() -> list[tuple[str, str]]:
    """Requirement and reference, for each reference."""
    rows = ROW.findall(PAGE.read_text())
    return [(asked, one) for asked, shown in rows for one in re.findall(r"`([^`]+)`", shown)]


def exists(reference: str) -> bool:
    if reference.startswith("make "):
        target = re.escape(reference.removeprefix("make "))
        makefile = (ROOT / "Makefile").read_text()
        return re.search(rf"^([a-z -]+ )?{target}( [a-z -]+)?:.* ## ", makefile, re.MULTILINE) is not None
    if reference.startswith("job "):
        jobs = (ROOT / ".gitlab-ci.yml").read_text()
        return f"\n{reference.removeprefix('job ')}:" in jobs
    if reference.startswith(SUITES):
        file, _, test = reference.partition("::")
        path = ROOT / "tests" / f"{file}.py"
        return path.exists() and (not test or f"def {test}(" in path.read_text())
    return (ROOT / reference).exists()


def test_a_requirement_says_what_shows_it() -> None:
    rows = ROW.findall(PAGE.read_text())
    assert len(rows) > 60
    assert [asked for asked, shown in rows if "`" not in shown] == []


@pytest.mark.parametrize("reference", sorted({reference for _, reference in references()}))
def test_what_a_requirement_points_at_exists(reference: str) -> None:
    assert exists(reference), [asked for asked, one in references() if one == reference]


@pytest.mark.parametrize("reference", [f"{file}::{test}" for file, tests in NAMED.items() for test in tests])
def test_a_test_that_the_milestone_names_is_in_the_table(reference: str) -> None:
    assert reference in {one for _, one in references()}


@pytest.mark.parametrize(
    "reference", ["make nothing", "job nothing", "unit/test_nothing", "unit/test_docs::test_x", "x.md"]
)
def test_what_does_not_exist_is_found_missing(reference: str) -> None:
    assert not exists(reference)

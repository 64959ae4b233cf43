"""What .gitlab-ci.yml says: it is valid, its jobs call make targets that exist, and `make ci` does the same."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / ".gitlab-ci.yml"
MAKEFILE = (ROOT / "Makefile").read_text()
KEYWORDS = {"workflow", "stages", "variables", "default"}


def configuration() -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(CONFIGURATION)
    return loaded


def jobs() -> dict[str, dict[str, Any]]:
    """The jobs, each with what it extends filled in."""
    everything = configuration()
    found = {}
    for name, job in everything.items():
        if name not in KEYWORDS and not name.startswith("."):
            found[name] = everything.get(job.get("extends"), {}) | job
    return found


def script(job: dict[str, Any]) -> list[str]:
    lines = job["script"]
    return [lines] if isinstance(lines, str) else lines


def targets(job: dict[str, Any]) -> list[str]:
    return [line.split()[1] for line in script(job)]


class Gate(NamedTuple):
    """A line of .ci/gates."""

    name: str
    runs_in: str
    part: str


def gates() -> list[Gate]:
    lines = (ROOT / ".ci" / "gates").read_text().splitlines()
    return [Gate(*line.split()) for line in lines if not line.startswith("#")]


def listed(variable: str) -> list[str]:
    """The words of a list in the Makefile."""
    found = re.search(rf"^{variable} := ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
    assert found is not None
    return found[1].replace("\\\n", " ").split()


def run_by(target: str) -> list[str]:
    """The gates that make says it runs, in a target for all of them."""
    command = ["make", "-s", target, "MAKE=true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return [line.removeprefix("== make ") for line in done.stdout.splitlines()]


def is_nightly(job: dict[str, Any]) -> bool:
    return bool(job["stage"] == "nightly")


def validated(path: Path) -> subprocess.CompletedProcess[str]:
    """What check-jsonschema says of a file, by the schema that GitLab publishes."""
    command = ["check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(path)]
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=60)


def test_it_is_valid_by_the_schema_of_gitlab() -> None:
    done = validated(CONFIGURATION)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("script: make lint", "scripts: make lint"),
        ("interruptible: true", "interruptible: perhaps"),
        ("when: [runner_system_failure]", "when: [test_failure]"),
    ],
)
def test_what_is_wrong_in_it_is_found(said: str, instead: str, tmp_path: Path) -> None:
    text = CONFIGURATION.read_text()
    assert said in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(said, instead, 1))
    assert validated(broken).returncode == 1


@pytest.mark.parametrize("name", jobs())
def test_a_job_calls_make_targets_and_nothing_else(name: str) -> None:
    job = jobs()[name]
    assert "before_script" not in job
    for line in script(job):
        assert re.fullmatch(r"make [a-z-]+( [A-Z]+=[\w./$-]+)*", line), line
        assert re.search(rf"^([a-z -]+ )?{line.split()[1]}( [a-z -]+)?:.* ## ", MAKEFILE, re.MULTILINE), line


def test_make_ci_runs_what_a_merge_request_runs_in_the_same_order() -> None:
    stages = configuration()["stages"]
    chosen = {name: job for name, job in jobs().items() if "rules" not in job}
    in_order = sorted(chosen.values(), key=lambda job: stages.index(job["stage"]))
    assert [target for job in in_order for target in targets(job)] == run_by("ci")


def test_make_ci_nightly_runs_what_a_schedule_runs_besides() -> None:
    called = [target for job in jobs().values() if is_nightly(job) for target in targets(job)]
    assert called == run_by("ci-nightly")


def test_every_version_that_is_supported_is_built_and_tested() -> None:
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    found = jobs()
    assert found["build"]["parallel"]["matrix"] == [{"VERSION": classifiers}]
    primary = configuration()["default"]["image"].partition(":")[2]
    others = [one for one in classifiers if one != primary]
    assert found["matrix"]["parallel"]["matrix"] == [{"VERSION": others}]
    assert listed("OTHERS") == others


def test_every_version_that_is_supported_has_wheels_and_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    versions = [line.rpartition(" ")[2] for line in project["project"]["classifiers"] if "Python :: 3." in line]
    assert project["tool"]["cibuildwheel"]["build"] == [f"cp{version.replace('.', '')}-*" for version in versions]
    assert f"Python {versions[0]} to {versions[-1]}," in (ROOT / "README.md").read_text()
    assert f"| Python {', '.join(versions)} |" in (ROOT / "docs" / "requirements.md").read_text()


def test_nothing_that_a_test_finds_is_tried_again_or_allowed() -> None:
    assert configuration()["default"]["retry"] == {"max": 1, "when": ["runner_system_failure"]}
    assert [name for name, job in jobs().items() if "retry" in job] == []
    assert {name for name, job in jobs().items() if job.get("allow_failure")} == {"quarantine", "macos-smoke"}


def test_what_runs_tests_keeps_their_outcomes_and_artifacts() -> None:
    kept = configuration()["default"]["artifacts"]
    assert (kept["when"], kept["paths"], kept["reports"]) == ("always", ["artifacts/"], {"junit": "artifacts/*.xml"})
    for name, job in jobs().items():
        own = job.get("artifacts", kept)
        if name not in {"docs", "wheels"}:
            assert "artifacts/" in own["paths"], name
            assert own["reports"].items() >= kept["reports"].items(), name
            assert (own["when"], own["expire_in"]) == (kept["when"], kept["expire_in"]), name


def test_what_is_run_here_is_a_part_of_it_and_the_rest_is_named() -> None:
    assert {gate.runs_in for gate in gates()} == {"merge-request", "schedule", "here"}
    assert {gate.part for gate in gates()} == {"first", "behind", "beside", "last", "-"}
    chosen = {gate.name for gate in gates() if gate.part != "-"}
    assert [gate.name for gate in gates() if gate.runs_in == "here" and gate.name not in chosen] == []
    assert {"lint", "typecheck", "exports", "test", "sim", "coverage", "bench", "tsan-smoke"} - chosen == set()
    command = ["make", "-s", "ci-left", f"DONE={' '.join(chosen)}"]
    left = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert left.replace("in a merge request:", "").replace("nightly:", "").split() == [
        gate.name for gate in gates() if gate.name not in chosen
    ]


def test_every_gate_is_a_target_and_stands_once() -> None:
    names = [gate.name for gate in gates()]
    assert len(names) == len(set(names))
    for name in names:
        assert re.search(rf"^([a-z -]+ )?{name}( [a-z -]+)?:.* ## ", MAKEFILE, re.MULTILINE), name

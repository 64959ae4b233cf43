# Everything runs from a fresh clone: each target makes the virtual environment and the build it
# needs, and skips what is already there. Another Python: make VENV=.venv-3.13 PYTHON=python3.13 test

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# All targets in small letters: none is a file, whatever folders there are.
.PHONY: $(shell awk -F : '/^[a-z -]+:/ { print $$1 }' Makefile)

VENV ?= .venv
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
# Absolute, as the variants run in folders of their own.
PY := $(abspath $(VENV))/bin/python
# What a run leaves: reports, coverage, and what is known of the schedulers of failing tests.
ARTIFACTS := $(abspath artifacts)
REPORT = $@
PYTEST = GRAPHFLOW_ARTIFACTS=$(ARTIFACTS)/$(REPORT) $(PY) -m pytest --junitxml=$(ARTIFACTS)/$(REPORT).xml
# The suites run in so many processes; what is marked `alone` comes last, when nothing else runs (see tests/alone.py). With
# PROCESSES=0 there is one, the order is that of the files, and --pdb and -s work.
PROCESSES ?= 2
SUITE = $(PYTEST) -n $(PROCESSES)
# Lays a copy of the tree, builds it in its own way and tests it: tools/variants.py has a table, by the names of targets.
VARIANT = GRAPHFLOW_ARTIFACTS=$(ARTIFACTS)/$(REPORT) PROCESSES=$(PROCESSES) $(PY) tools/variants.py $@ $(PYTEST_ARGS)
# The requirements have one home, pyproject.toml: $(call install,extra...) installs lists of it.
pip_install = $(1) -m pip install --quiet --disable-pip-version-check
install = $(PY) tools/requirements.py $(1) | $(call pip_install,$(PY)) -r /dev/stdin

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z -]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- running -------------------------------------------------------------------------------------
demo: build $(VENV)/ready-demo ## run the ingestion service on 27,004 real flights
	@$(PY) -m examples.ingest_service.demo
test: build $(VENV)/ready-test ## run the unit and integration tests
	@$(SUITE) $(PYTEST_ARGS)
# A shard is every second test (1/2), or every third, of a suite.
SPLIT = $(if $(SHARD),--splits $(notdir $(SHARD)) --group $(patsubst %/,%,$(dir $(SHARD))))
unit integration: build $(VENV)/ready-test $(if $(SHARD),$(VENV)/ready-shards) ## run one of the two; SHARD=1/2 for half of it
	@$(SUITE) tests/$@ $(SPLIT) $(PYTEST_ARGS)
quarantine: build $(VENV)/ready-test ## run the tests in quarantine, which nothing else runs
	@$(PYTEST) --quarantine tests/unit tests/integration tests/stress $(PYTEST_ARGS) || [[ $$? == 5 ]] # 5: there are none
# The versions that are supported besides the primary one, 3.11.
OTHERS := 3.12 3.13 3.14
matrix: ## run the unit and integration tests on the other Pythons found, or those of PYTHONS='3.12 3.13'
	@tested= missing=; for version in $(or $(PYTHONS),$(OTHERS)); do \
		if ! python$$version -c '' 2>/dev/null; then missing+=" $$version"; continue; fi; \
		$(MAKE) VENV=.venv-$$version PYTHON=python$$version matrix-here; tested+=" $$version"; done; \
	echo "matrix: tested on:$${tested:- none}"; if [[ $$missing ]]; then \
		echo "matrix: not tested, as there is no pythonX.Y that runs:$$missing" >&2; fi; \
	[[ $$tested && ! ( $$missing && "$(PYTHONS)" ) ]] # those asked for have to be there, and at least one
test-lowest: ## run the tests with the oldest versions that pyproject.toml admits
	@LOWEST=1 $(MAKE) VENV=.venv-lowest matrix-here
# What a macOS machine runs: the tests that the milestone names, and the demo.
smoke: build $(VENV)/ready-test demo ## run the named tests and the demo
	@$(PYTEST) $(addprefix tests/unit/test_,edge_policies.py scheduler_priority.py scheduler_pq_edge_cases.py) \
		$(addprefix tests/integration/test_,backpressure_end_to_end.py mixed_overflow_policies.py shutdown_semantics.py)
sim: build $(VENV)/ready-test ## simulate thousands of seeds; SIM_SEED=17 for one, with its trace
	@$(PY) tests/sim/run.py $(if $(SIM_SEED),--seed $(SIM_SEED),--seeds $(or $(SIM_SEEDS),4000)) $(if $(SIM_START),--start $(SIM_START))
browser-test: build $(VENV)/ready-test $(VENV)/ready-browser ## see the live page in a browser, Debian's Chromium
	@tools/debian $@ chromium chromium
	@$(PYTEST) tests/browser $(PYTEST_ARGS)

# -- what continuous integration runs -------------------------------------------------------------
gates = $(or $(shell awk '/^[a-z]/ && $$2 == "$(1)" { print $$1 }' .ci/gates),$(error .ci/gates has no gate of a $(1)))
ci: ## run what a merge request runs, in the same order
	@for target in $(call gates,merge-request); do echo "== make $$target"; $(MAKE) $$target; done
ci-left: ## list what is left of both after DONE='lint typecheck ...'
	@echo "  in a merge request: $(filter-out $(DONE),$(call gates,merge-request))"
	@echo "  nightly: $(filter-out $(DONE),$(call gates,schedule))"
ci-nightly: ## run what a schedule runs besides
	@for target in $(call gates,schedule); do echo "== make $$target"; $(MAKE) $$target; done

# -- measuring ------------------------------------------------------------------------------------
bench: build $(VENV)/ready-perf ## run the benchmarks and hold them to the baseline of this Python
	@$(PY) perf/gate.py check
bench-baseline: build $(VENV)/ready-perf ## measure a new baseline: make bench-baseline REASON='why'
	@$(PY) perf/gate.py baseline --reason '$(REASON)'
bench-selftest: build $(VENV)/ready-test ## see that the benchmark gate finds a planted slowdown
	@$(PYTEST) tests/perf $(PYTEST_ARGS)
bench-instructions: build ## hold the instructions of edge operations to their baseline (needs valgrind)
	@tools/debian $@ valgrind valgrind
	@$(PY) perf/instructions.py check
bench-scaling: build $(VENV)/ready-scaling ## measure 1, 2 and 4 workers beside bare threads
	@PYTHONPATH=. $(PY) perf/bench_scaling.py
# The peers have an environment of their own: some of them would hold back the versions tested with.
bench-peers: build ## run the same graph on graphflow and its peers, into perf/results/
	@$(MAKE) VENV=.venv-peers .venv-peers/ready-build .venv-peers/ready-peers
	@$(call pip_install,.venv-peers/bin/python) --no-deps meridian-runtime cryptography cffi
	@.venv-peers/bin/python perf/bench_peers.py

# -- building and documenting ----------------------------------------------------------------------
docs: $(VENV)/ready-docs ## make the API reference as HTML, into build/docs/; any warning fails
	@$(PY) -m mkdocs build --strict
docs-api: $(VENV)/ready-python ## write docs/api.md anew from the docstrings
	@$(PY) tests/api_reference.py > docs/.api.md && mv docs/.api.md docs/api.md
build: $(VENV)/ready-build ## compile the core in place (again only what changed)
	@$(PY) setup.py --quiet build_ext --inplace
$(VENV)/ready-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "graphflow needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
			"install one, or name it with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
# One stamp for each list of requirements, so that a repeated make runs no pip.
$(VENV)/ready-%: $(VENV)/ready-python pyproject.toml
	@$(call install,$*)
	@touch $@
dist: $(VENV)/ready-dist ## make an sdist, a wheel from it, and check both
	@rm -rf dist
	@$(PY) -m build
	@$(PY) -m twine check --strict dist/*
	@$(PY) -m auditwheel show dist/*.whl
test-wheel: dist ## run the tests on the installed wheel, without the source tree
	@$(MAKE) VENV=.venv-wheel test-wheel-here
wheels: $(VENV)/ready-wheels ## build the wheels of a release, for each Python, with cibuildwheel (needs docker)
	@tools/debian $@ docker docker.io
	@$(PY) -m cibuildwheel --output-dir dist
clean: ## remove what was built, the virtual environment included
	rm -rf build dist artifacts *.egg-info .venv* .python-ft .cache .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	find graphflow \( -name '*.so' -o -name '*.cpp' -o -name '*.html' \) -delete

# -- checking ------------------------------------------------------------------------------------
lint: $(VENV)/ready-lint ## check style: ruff and cython-lint
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@PATH="$(dir $(PY)):$$PATH" cython-lint graphflow
typecheck: $(VENV)/ready-typecheck $(VENV)/ready-test $(VENV)/ready-gates ## check types: mypy and pyright
	@$(PY) -m mypy
	@$(PY) -m pyright --pythonpath $(PY)
exports: build $(VENV)/ready-typecheck $(VENV)/ready-test ## hold stubs, exports and public types to the compiled modules
	@$(PY) -m mypy.stubtest graphflow.core --ignore-missing-stub --ignore-disjoint-bases \
		--allowlist tests/gates/stubtest-allowlist.txt
	@PATH="$(dir $(PY)):$$PATH" PYTHONPATH=. $(PY) -m pyright --verifytypes graphflow --ignoreexternal
	@$(PYTEST) tests/unit/test_public_names.py tests/gates/test_stub_constructors.py
gates-selftest: build $(patsubst %,$(VENV)/ready-%,build test lint typecheck gates) ## see that each gate is red on a planted defect
	@$(PYTEST) tests/gates $(addprefix --ignore=tests/gates/test_,planted_faults.py coverage_planted.py) $(PYTEST_ARGS)
coverage-selftest: $(VENV)/ready-test ## see that the coverage gate is red when less is run (after make coverage)
	@$(PYTEST) tests/gates/test_coverage_planted.py $(PYTEST_ARGS)
soak: build $(VENV)/ready-test $(VENV)/ready-soak ## soak a graph for SOAK_MINUTES (30), into memprofiles/
	@SOAK_MINUTES=$(or $(SOAK_MINUTES),30) MALLOC_ARENA_MAX=2 $(PYTEST) tests/soak -rP $(PYTEST_ARGS)
soak-smoke: ## the same for two minutes
	@$(MAKE) soak SOAK_MINUTES=2

# -- variants of the build ------------------------------------------------------------------------
debug-test: ## run the tests with assertions and balance counters
sim-plants: ## see that the simulation finds bugs that are put into the core
tsan: ## run the tests under ThreadSanitizer
tsan-smoke: ## run those tests under ThreadSanitizer in which threads meet most
asan: ## run the tests under AddressSanitizer
debug-test sim-plants tsan tsan-smoke asan matrix-here test-ft-here: $(VENV)/ready-build $(VENV)/ready-test
	@$(VARIANT)
tsan-smoke: REPORT = tsan
matrix-here: REPORT = $(patsubst .venv-%,matrix-%,$(notdir $(VENV)))
test-wheel-here: $(VENV)/ready-build $(VENV)/ready-test
	@$(call pip_install,$(PY)) --force-reinstall --no-deps dist/*.whl
	@$(VARIANT)
# Measures on the release build; everything else on one whose threads give way where they rarely do.
CHAOS_SEED := $(or $(CHAOS_SEED),$(shell echo $$RANDOM))
stress: build $(VENV)/ready-test ## stress with threads made to collide; STRESS_SCALE=0.1 for less
	@$(PYTEST) --junitxml=$(ARTIFACTS)/$@-measures.xml tests/stress -m measures -rP $(PYTEST_ARGS)
	@echo "chaos seed $(CHAOS_SEED) (again: make stress CHAOS_SEED=$(CHAOS_SEED))"
	@GRAPHFLOW_CHAOS_SEED=$(CHAOS_SEED) $(VARIANT)
coverage: $(VENV)/ready-build $(VENV)/ready-test ## measure line coverage and hold it to its floors
	@$(VARIANT)
	@cd $(ARTIFACTS)/coverage && sed -i.seen 's#/build/variants/trace/#/#' cobertura.xml && rm cobertura.xml.seen
	@cd build/variants/trace && $(PY) tests/gates/coverage_gate.py coverage.json
coverage-of-others: ## the same on other Pythons: PYTHONS='3.12 3.13'
	@for version in $(or $(PYTHONS),3.12 3.13); do $(MAKE) VENV=.venv-$$version PYTHON=python$$version coverage; done
# Another interpreter has an environment of its own: the target calls make again for it. Only wheels, so that pip takes
# an older version of what has none for it yet.
FREE_THREADED = $(if $(filter command line,$(origin PYTHON)),$(PYTHON),.python-ft/bin/python3.13t)
test-ft: ## run the tests on a free-threaded Python, python-ft's or make test-ft PYTHON=python3.13t
	@$(FREE_THREADED) -c 'import sysconfig as s, sys; sys.exit(not s.get_config_var("Py_GIL_DISABLED"))' || { \
		echo "test-ft needs a free-threaded Python, and '$(FREE_THREADED)' is not: make python-ft, or make test-ft PYTHON=python3.13t" >&2; exit 1; }
	@PIP_ONLY_BINARY=:all: $(MAKE) VENV=.venv-ft PYTHON=$(FREE_THREADED) test-ft-here
python-ft: $(VENV)/ready-uv ## fetch a free-threaded Python with uv: .python-ft/bin/python3.13t
	@UV_PYTHON_INSTALL_DIR=.python-ft UV_PYTHON_BIN_DIR=.python-ft/bin $(PY) -m uv python install 3.13t

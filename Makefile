# Everything runs from a fresh clone: each target makes the virtual environment and the build it
# needs, and skips what is already there. Another Python: make VENV=.venv-3.13 PYTHON=python3.13 test

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
# Absolute, as the variants run in folders of their own.
PY := $(abspath $(VENV))/bin/python
PYTEST := $(PY) -m pytest
PYTEST_ARGS ?=

# What a variant of the build is made from; each has its own copy, so that no two share a file.
SOURCES := $(wildcard *.py *.toml *.in *.md LICENSE Makefile graphflow tests examples perf docs)
VARIANTS := build/variants
TSAN = $(shell readlink -f "$$(gcc -print-file-name=libtsan.so)")
ASAN = $(shell readlink -f "$$(gcc -print-file-name=libasan.so)") \
	$(shell readlink -f "$$(gcc -print-file-name=libstdc++.so.6)")

# The requirements have one home, pyproject.toml: $(call install,extra...) installs lists of it.
define REQUIREMENTS
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
lists = {**project["project"]["optional-dependencies"], "build": project["build-system"]["requires"]}
def lines(name):
    for line in lists[name]:
        if line.startswith("graphflow["):
            for other in line.removeprefix("graphflow[").removesuffix("]").split(","):
                yield from lines(other)
        else:
            yield line
print(*(line for name in sys.argv[1:] for line in lines(name)), sep="\n")
endef
export REQUIREMENTS
install = $(PY) -c "$$REQUIREMENTS" $(1) | $(PY) -m pip install --quiet --disable-pip-version-check -r /dev/stdin

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- running -------------------------------------------------------------------------------------

.PHONY: demo
demo: build $(VENV)/ready-demo ## run the ingestion service on 27,004 real flights
	@$(PY) -m examples.ingest_service.demo

.PHONY: test
test: build $(VENV)/ready-test ## run the unit and integration tests
	@$(PYTEST) $(PYTEST_ARGS)

SIM_SEEDS ?= 4000
.PHONY: sim
sim: build $(VENV)/ready-test ## simulate thousands of seeds; SIM_SEED=17 for one, with its trace
	@$(PY) tests/sim/run.py $(if $(SIM_SEED),--seed $(SIM_SEED),--seeds $(SIM_SEEDS)) $(if $(SIM_START),--start $(SIM_START))

.PHONY: browser-test
browser-test: build $(VENV)/ready-test $(VENV)/ready-browser ## see the live page in a browser, Debian's Chromium
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update && apt-get install --yes --no-install-recommends chromium; } || { \
		echo "browser-test needs Chromium, as chromium on PATH: apt-get install chromium" >&2; exit 1; }
	@$(PYTEST) tests/browser $(PYTEST_ARGS)

# -- measuring ------------------------------------------------------------------------------------

.PHONY: bench
bench: build $(VENV)/ready-perf ## run the benchmarks and hold them to the baseline of this Python
	@$(PY) perf/gate.py check

.PHONY: bench-baseline
bench-baseline: build $(VENV)/ready-perf ## measure a new baseline: make bench-baseline REASON='why'
	@$(PY) perf/gate.py baseline --reason '$(REASON)'

.PHONY: bench-selftest
bench-selftest: build $(VENV)/ready-test ## see that the benchmark gate finds a planted slowdown
	@$(PYTEST) tests/perf $(PYTEST_ARGS)

.PHONY: bench-instructions
bench-instructions: build ## hold the instructions of edge operations to their baseline (needs valgrind)
	@$(PY) perf/instructions.py check

.PHONY: bench-scaling
bench-scaling: build $(VENV)/ready-scaling ## measure 1, 2 and 4 workers beside bare threads
	@PYTHONPATH=. $(PY) perf/bench_scaling.py

# The peers have an environment of their own: what some of them require would hold back the versions tested with. One
# of them asks for packages that it does not need here.
PEERS := .venv-peers
.PHONY: bench-peers
bench-peers: build ## run the same graph on graphflow and its peers, into perf/results/
	@$(MAKE) --no-print-directory VENV=$(PEERS) $(PEERS)/ready-build $(PEERS)/ready-peers
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps meridian-runtime cryptography cffi
	@$(PEERS)/bin/python perf/bench_peers.py

# -- building ------------------------------------------------------------------------------------

.PHONY: build
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

.PHONY: clean
clean: ## remove what was built, the virtual environment included
	rm -rf build dist artifacts *.egg-info $(VENV) .coverage* .hypothesis .mypy_cache \
		.pytest_cache .ruff_cache
	find . -path ./.git -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf
	find graphflow \( -name '*.so' -o -name '*.cpp' -o -name '*.html' \) -delete

# -- checking ------------------------------------------------------------------------------------

.PHONY: lint
lint: $(VENV)/ready-lint ## check style: ruff and cython-lint
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@PATH="$(dir $(PY)):$$PATH" cython-lint graphflow

.PHONY: typecheck
typecheck: $(VENV)/ready-typecheck $(VENV)/ready-test ## check types: mypy and pyright
	@$(PY) -m mypy
	@$(PY) -m pyright --pythonpath $(PY)

# A variant keeps its compiled files between runs; all else is laid anew from the tree.
define lay
	@mkdir -p $(VARIANTS)/$(1)
	@find $(VARIANTS)/$(1) -type f ! -name '*.so' ! -name '*.cpp' ! -path '*/build/*' -delete
	@tar --exclude='*.so' --exclude='*.cpp' --exclude=__pycache__ -cf - $(SOURCES) \
		| tar -xf - -C $(VARIANTS)/$(1)
endef

.PHONY: debug-test
debug-test: $(VENV)/ready-build $(VENV)/ready-test ## run the tests with assertions and balance counters
	$(call lay,debug)
	@cd $(VARIANTS)/debug && export GRAPHFLOW_DEBUG=1 && \
		$(PY) setup.py --quiet build_ext --inplace && $(PYTEST) $(PYTEST_ARGS)

# Measures on the release build; everything else on one whose threads give way where they rarely do.
CHAOS_SEED := $(or $(CHAOS_SEED),$(shell echo $$RANDOM))
.PHONY: stress
stress: build $(VENV)/ready-build $(VENV)/ready-test ## stress with threads made to collide; STRESS_SCALE=0.1 for less
	@$(PYTEST) tests/stress -m measures -rP $(PYTEST_ARGS)
	$(call lay,chaos)
	@echo "chaos seed $(CHAOS_SEED) (again: make stress CHAOS_SEED=$(CHAOS_SEED))"
	@cd $(VARIANTS)/chaos && export GRAPHFLOW_CHAOS=1 GRAPHFLOW_CHAOS_SEED=$(CHAOS_SEED) && \
		$(PY) setup.py --quiet build_ext --inplace && \
		$(PYTEST) tests/stress tests/integration/test_races.py tests/integration/test_random_graphs.py \
			-m 'not measures' $(PYTEST_ARGS)

SOAK_MINUTES ?= 30
.PHONY: soak
soak: build $(VENV)/ready-test $(VENV)/ready-soak ## soak a graph for SOAK_MINUTES (30), into memprofiles/
	@SOAK_MINUTES=$(SOAK_MINUTES) MALLOC_ARENA_MAX=2 $(PYTEST) tests/soak -rP $(PYTEST_ARGS)

.PHONY: soak-smoke
soak-smoke: ## the same for two minutes
	@$(MAKE) --no-print-directory soak SOAK_MINUTES=2

.PHONY: sim-plants
sim-plants: $(VENV)/ready-build $(VENV)/ready-test ## see that the simulation finds bugs that are put into the core
	$(call lay,plants)
	@cd $(VARIANTS)/plants && export GRAPHFLOW_PLANTS=1 && \
		$(PY) setup.py --quiet build_ext --inplace && $(PYTEST) tests/sim/test_plants.py $(PYTEST_ARGS)

.PHONY: coverage
coverage: $(VENV)/ready-build $(VENV)/ready-test ## measure line coverage and hold it to its floors
	$(call lay,trace)
	@cd $(VARIANTS)/trace && export GRAPHFLOW_TRACE=1 && \
		$(PY) setup.py --quiet build_ext --inplace && \
		PYTEST_TIMEOUT=900 $(PYTEST) --cov --cov-report=json:coverage.json $(PYTEST_ARGS) && \
		$(PY) tests/gates/coverage_gate.py coverage.json

# Another interpreter has an environment of its own: the target calls make again for it. Only wheels, so that pip takes
# an older version of what has none for it yet.
.PHONY: test-ft
test-ft: ## run the tests on a free-threaded Python: make test-ft PYTHON=python3.13t
	@$(PYTHON) -c 'import sysconfig as s, sys; sys.exit(not s.get_config_var("Py_GIL_DISABLED"))' || { \
		echo "test-ft needs a free-threaded Python, and '$(PYTHON)' is not: make test-ft PYTHON=python3.13t" >&2; exit 1; }
	@PIP_ONLY_BINARY=:all: $(MAKE) --no-print-directory VENV=.venv-ft PYTHON=$(PYTHON) test-ft-here

.PHONY: test-ft-here
test-ft-here: $(VENV)/ready-build $(VENV)/ready-test
	$(call lay,ft)
	@cd $(VARIANTS)/ft && $(PY) setup.py --quiet build_ext --inplace && $(PYTEST) $(PYTEST_ARGS)

SANITIZED := tests/gates tests/unit tests/integration tests/stress -m 'not measures'

# The libraries are preloaded by env on the Python process itself: a shell crashes under libtsan.
.PHONY: tsan
tsan: $(VENV)/ready-build $(VENV)/ready-test ## run the tests under ThreadSanitizer
	$(call lay,tsan)
	@cd $(VARIANTS)/tsan && export GRAPHFLOW_SANITIZE=thread && \
		$(PY) setup.py --quiet build_ext --inplace && \
		env LD_PRELOAD="$(TSAN)" TSAN_OPTIONS="exitcode=66 second_deadlock_stack=1 history_size=4 die_after_fork=0 \
			suppressions=$(abspath tests/gates/tsan.supp)" PYTEST_TIMEOUT=900 STRESS_SCALE=0.03 \
			$(PYTEST) -p no:cacheprovider $(or $(PYTEST_ARGS),$(SANITIZED))

.PHONY: asan
asan: $(VENV)/ready-build $(VENV)/ready-test ## run the tests under AddressSanitizer
	$(call lay,asan)
	@cd $(VARIANTS)/asan && export GRAPHFLOW_SANITIZE=address && \
		$(PY) setup.py --quiet build_ext --inplace && \
		env LD_PRELOAD="$(ASAN)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
			PYTEST_TIMEOUT=900 STRESS_SCALE=0.1 \
			$(PYTEST) -p no:cacheprovider $(or $(PYTEST_ARGS),$(SANITIZED))

# Everything that a developer or CI runs. GNU make 3.81 or newer.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.NOTPARALLEL:

CONFIG ?= configs/google.yaml
PROBLEM ?= google
# Three workers, because tests wait for services half of the time; a file's tests stay together on one, slow files first.
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder
PORT ?= 3000
# A replay: the days, both included, and what goes wrong in them.
START ?= 2007-01-01
END ?= 2012-12-31
FAULTS ?= configs/replays/every_fault.yaml
VERSION ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unversioned)
IMAGE ?= ghcr.io/loopcast/loopcast:$(VERSION)
PROJECT ?= loopcast
DOMAIN ?= development
EVIDENTLY_PORT ?= 8001
MLFLOW_PORT ?= 5001

# The versions that the lock supports; flytekit 1.16 refuses 3.13.
IS_SUPPORTED = import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c '$(IS_SUPPORTED)' 2>/dev/null && echo $$p && break; done)
PIP_VERSION := 26.3

PY := .venv/bin/python
READY := .venv/.ready
UNFINISHED := .venv/.unfinished
BENCHES := $(patsubst benchmarks/bench_%.py,bench-%,$(wildcard benchmarks/bench_*.py))

.PHONY: help setup demo serve ui replay history bento test check bench register-dry-run lock format clean clean-data

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub("%", "NAME", $$1); printf "  make %-18s %s\n", $$1, $$2 }' Makefile

setup: $(READY)  ## create or update .venv from requirements.lock

demo: $(READY)  ## train a champion, serve it, forecast over HTTP, replay a crisis (CONFIG=configs/google.yaml)
	@PYTHONWARNINGS=ignore $(PY) -m tools.demo "$(CONFIG)"

serve: $(READY)  ## serve the champions, and answer long queries (PORT=3000)
	@PYTHONWARNINGS=ignore $(PY) -m tools.serve --port "$(PORT)"

ui: $(READY)  ## show what is stored: the Evidently UI and the MLflow UI
	@$(PY) -m tools.ui --evidently-port $(EVIDENTLY_PORT) --mlflow-port $(MLFLOW_PORT)

history: $(READY)  ## list decisions, what called for them, and cool-downs (PROBLEM=google)
	@.venv/bin/loopcast history "$(PROBLEM)"

replay: $(READY)  ## walk through years of history, with faults (CONFIG, START, END, FAULTS)
	@PYTHONWARNINGS=ignore .venv/bin/pyflyte run workflows/replay.py replay --config "$(CONFIG)" \
		--start "$(START)" --end "$(END)" --faults "$(FAULTS)"

bento: $(READY)  ## package the champion as one archive that serves it anywhere (PROBLEM=google)
	@echo "Packaging the champion of $(PROBLEM) and serving it in a clean environment: one to three minutes."
	@.venv/bin/pyflyte run workflows/packaging.py packaging --problem "$(PROBLEM)"

test: $(READY)  ## run all tests and doctests (PYTEST_ARGS="-n 3 --dist loadfile --no-loadscope-reorder")
	@echo "Testing: unit, Flyte, integration, model, end to end and doctests."
	@$(PY) -m pytest --quiet $(PYTEST_ARGS)

check: $(READY)  ## check style, types, import direction and lock
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest --quiet tests/unit/test_imports.py
	$(PY) tools/lock.py --check

bench: $(BENCHES)  ## run every benchmark

bench-%: $(READY)  ## run one benchmark; writes benchmarks/results/NAME.json
	@echo "Benchmark $*:"
	@$(PY) -m benchmarks.bench_$*

register-dry-run: $(READY)  ## serialize every workflow, task and launch plan as for a cluster, offline
	.venv/bin/pyflyte register --dry-run --copy none --project $(PROJECT) --domain $(DOMAIN) \
		--image $(IMAGE) --version $(VERSION) launchplans workflows tasks
	@mkdir -p build
	.venv/bin/pyflyte --pkgs launchplans --pkgs workflows --pkgs tasks \
		package --force --image $(IMAGE) --output build/flyte.tgz

lock: $(READY)  ## resolve requirements.lock anew from pyproject.toml
	@echo "Resolving: about a minute."
	@$(PY) tools/lock.py

format: $(READY)  ## format the code and mend what ruff can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean:  ## remove what make made: .venv, build outputs, caches (keeps the data in .loopcast)
	rm -rf .venv .bench build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data:  ## remove .loopcast: every model, forecast and decision of local runs
	rm -rf .loopcast

# Set-up ends by renaming its mark, so that an interrupted one is never taken for a finished one.
$(READY): requirements.lock pyproject.toml
	@if test -e $(UNFINISHED); then echo "The last set-up was interrupted: starting again."; rm -rf .venv; fi
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
		if ! "$(PYTHON)" -c '$(IS_SUPPORTED)' 2>/dev/null; then \
			echo "Found no Python 3.11 or 3.12 that can make virtual environments$(if $(PYTHON), (tried $(PYTHON)))."; \
			echo "On Debian and Ubuntu: sudo apt install python3-venv. Elsewhere: make setup PYTHON=/path/to/python3.11"; \
			exit 1; \
		fi; \
		echo "Setting up .venv with $$("$(PYTHON)" --version): two to three minutes, once."; \
		rm -rf .venv && mkdir .venv && touch $(UNFINISHED) && "$(PYTHON)" -m venv .venv; \
	else \
		echo "Updating .venv from requirements.lock."; \
	fi
	@rm -f $(READY) && touch $(UNFINISHED)
	@$(PY) -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION)
	@$(PY) -m pip install --quiet --requirement requirements.lock
	@PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --no-deps --no-build-isolation \
		--config-settings editable_mode=compat --editable .  # else a folder that is called loopcast hides it
	@mv $(UNFINISHED) $(READY)
	@echo "Set up: .venv has what requirements.lock says."

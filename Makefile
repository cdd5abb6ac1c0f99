# Every target sets up what it needs; a second call of `setup` does nothing.
# Only python3 (3.11 or newer), pip and make are assumed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
SEED   ?= 7

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench run pins

help: ## these words
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(STAMP) ## the virtual environment, with everything pinned

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "The bridge needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one like this: make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## the main job under faults, on a simulated venue
	$(BIN)/bridge demo --seconds 20 --seed $(SEED)

test: setup ## the whole test suite on a real Postgres
	$(BIN)/python -m pytest

check: setup ## format, lint, types and import contracts: seconds, no database
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## how fast, as ratios
	$(BIN)/python -m bench

run: setup ## the bridge in one process, on an embedded Postgres
	$(BIN)/bridge run

pins: setup ## renew requirements*.txt from pyproject.toml
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-find-links \
	  --no-header --no-annotate -o requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --allow-unsafe \
	  --no-header --no-annotate --extra dev --extra traces -c requirements.txt -o requirements-dev.txt pyproject.toml

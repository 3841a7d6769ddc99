# The README's commands. Nothing is needed but make and Python 3.11 (or 3.12); everything else goes into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV    ?= .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
DEV     := $(VENV)/.installed-dev
PROFILE ?= profiles/flykd.toml
ARGS    ?=
# Where the CPU build of torch comes from; `make install TORCH_INDEX=` takes PyPI's own build, which brings CUDA.
TORCH_INDEX ?= auto

.PHONY: help install locked lock run watch export test lint audit coverage mutants format clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: $(STAMP) ## make .venv and install the pinned dependencies

locked: requirements.txt ## make .venv with exactly the files whose hashes are in requirements.txt
	@.ci/install $(VENV) '$(TORCH_INDEX)' --require-hashes

lock: $(DEV) ## write requirements.txt and docs/licences.md anew (needs uv and an index)
	@$(BIN)/python scripts/lock.py
	@$(BIN)/python scripts/licences.py

run: $(STAMP) ## train on the embedded graph (PROFILE=..., ARGS=...)
	@$(BIN)/flykd-console run $(PROFILE) $(ARGS)

watch: $(STAMP) ## open the dashboard on the newest run
	@$(BIN)/flykd-console watch $(ARGS)

export: $(STAMP) ## write and verify the bundle of the newest finished run
	@$(BIN)/flykd-console export $(ARGS)

test: $(DEV) ## run the tests
	@$(BIN)/python -m pytest $(ARGS)

lint: $(DEV) ## check style, types and import boundaries
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

audit: $(DEV) ## look the pinned versions up in the advisory database (needs the network and pip-audit)
	@$(BIN)/python -m pip_audit --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet pip-audit \
		|| { echo "pip-audit cannot be installed here: no index can be reached." >&2; exit 2; }
	@$(BIN)/python -m pip_audit --strict --disable-pip --require-hashes -r requirements.txt \
		|| { echo "Advisories stand above; where there are none, the advisory service could not be reached." >&2; exit 1; }

coverage: $(DEV) ## lines and branches that the tests reach (ARGS=tests/unit)
	@$(BIN)/python -c 'import coverage' 2>/dev/null || $(BIN)/python -m pip install --quiet coverage
	@$(BIN)/python -m coverage run --branch --source flykd_console,exporters -m pytest -q -p no:xdist $(ARGS) || true
	@$(BIN)/python scripts/coverage_by_room.py

mutants: $(DEV) ## change the algebra one place at a time, and say which changes no test notices
	@$(BIN)/python scripts/mutants.py $(ARGS)

format: $(DEV) ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean: ## remove .venv and what tools left; runs stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt .ci/install
	@.ci/install $(VENV) '$(TORCH_INDEX)' .
	@touch $@

$(DEV): $(STAMP)
	@.ci/install $(VENV) '$(TORCH_INDEX)' '.[dev]'
	@touch $@

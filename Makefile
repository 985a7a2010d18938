# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
PAGE := build/page.js

.PHONY: demo test check hostile fuzz install install-dev lint schema bench format clean help

help:  ## what there is to make, and how long it takes on two cores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand --tabs=13

demo: install  ## install, fetch the default model, answer a question with it (3 minutes, then seconds)
	$(BIN)/python -m hforch

test: install-dev  ## install what tests need, and run them all (19 minutes, more from an empty cache; WORKERS=4 on more cores)
	$(PYTEST)

check: lint  ## lint, types, and the tests that load no model, without hostile ones (3 minutes, from a warm mypy cache)
	$(PYTEST) -m "not model and not hostile and not processes"

hostile: install-dev  ## 2,200 hostile inputs: configurations, recipes, models, run directories, terminal strings (20 minutes)
	HFORCH_HOSTILE=all $(PYTEST) --dist worksteal --timeout 3600 tests/hostile

fuzz: install-dev  ## 5,000 random configurations of mistakes, other ones each time (an hour)
	HFORCH_FUZZ=5000 $(BIN)/python -m pytest --timeout 7200 tests/config/test_fuzz.py

bench: install-dev  ## all benchmarks: prints tables, and writes them into docs/benchmarks.md (2 hours)
	$(BIN)/python -m bench --write docs/benchmarks.md

install: $(VENV)/.installed  ## hforch with all its backends, in .venv (3 minutes)

install-dev: $(VENV)/.installed-dev  ## and what tests, lint and types need

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "hforch needs Python 3.11 or newer; say which: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.python
	@echo 'installing hforch and its backends (torch among them) into $(VENV): this takes a minute or several'
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[all,dev]'
	@touch $@

lint: install-dev  ## formatting, lint and types, and the page's scripts (seconds, from a warm mypy cache)
	$(BIN)/ruff format --check hforch tests bench
	$(BIN)/ruff check hforch tests bench
	@mkdir -p $(dir $(PAGE)) && cat hforch/report/page/parts/*.js > $(PAGE)
	$(BIN)/oxlint --config .oxlintrc.json --no-ignore $(PAGE)
	$(BIN)/mypy

schema: install-dev  ## write the JSON Schemas and the tables of docs/ anew
	$(BIN)/hforch schema --write schema
	$(BIN)/python -m hforch.metrics.docs docs/metrics.md
	$(BIN)/python -m hforch.records.docs docs/metrics.md
	$(BIN)/python -m hforch.checks.docs docs/checks.md

format: install-dev  ## mend formatting and what lint can mend
	$(BIN)/ruff format hforch tests bench
	$(BIN)/ruff check --fix hforch tests bench

clean:  ## remove .venv and what tools left behind; runs in outputs/ and the model cache stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

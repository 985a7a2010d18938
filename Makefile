# Everything runs in .venv, which the first target that needs it creates.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= torch
WORKERS ?= 2
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
PAGE := build/page.js

.PHONY: demo test test-newest release-check check hostile fuzz install install-dev lint schema bench bench-decisions format clean help

help:  ## list all targets, with their durations on two cores
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand --tabs=13

demo: install  ## install, download the default model, answer a question with it (3 minutes, then seconds)
	$(BIN)/python -m hforch

test: install-dev  ## install test dependencies and run all tests (19 minutes, longer with an empty cache; WORKERS=4 with more cores)
	$(PYTEST)

check: lint  ## lint, and run the tests that are not marked model, processes or hostile (3 minutes with a warm mypy cache)
	$(PYTEST) -m "not model and not hostile and not processes"

test-newest:  ## test with the newest versions of all packages, without OpenVINO, in .venv-newest; then record them (15 minutes)
	$(PYTHON) -m venv $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
	  $(TORCH) --editable '.[cuda,dev,joblib,quant,report]'
	$(VENV)-newest/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  -m "not hostile and not processes"
	{ echo '# The newest versions that were tested, without OpenVINO: make test-newest'; \
	  $(VENV)-newest/bin/python -m pip list --format freeze --exclude hforch --exclude pip | sed 's/+[a-z0-9.]*$$//'; \
	} > constraints-newest.txt

release-check: install-dev  ## build a release, install it into a new environment, run the README's commands there (15 minutes)
	$(BIN)/python tests/release_check.py

hostile: install-dev  ## test 2,200 hostile inputs: configurations, recipes, models, run directories, terminal strings (20 minutes)
	HFORCH_HOSTILE=all $(PYTEST) --dist worksteal --timeout 3600 tests/hostile

fuzz: install-dev  ## test 5,000 random invalid configurations, different in each run (an hour)
	HFORCH_FUZZ=5000 $(BIN)/python -m pytest --timeout 7200 tests/config/test_fuzz.py

bench: install-dev  ## run all benchmarks, print their tables, write them into docs/benchmarks.md (2 hours)
	$(BIN)/python -m bench --write docs/benchmarks.md --write README.md

bench-decisions: install-dev  ## simulate decisions of `hforch compare`: false winners, power, coverage of intervals (8 minutes)
	$(BIN)/python -m bench decisions

install: $(VENV)/.installed  ## install hforch and all its backends into .venv (3 minutes)

install-dev: $(VENV)/.installed-dev  ## install hforch and the dependencies of tests, lint and type checks

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "hforch requires Python 3.11 or newer; specify one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/.python
	@echo 'installing hforch and its backends (torch among them) into $(VENV): this takes several minutes'
	$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[all,dev]'
	@touch $@

lint: install-dev  ## check formatting, lint, types, and the scripts of the HTML report (seconds with a warm mypy cache)
	$(BIN)/ruff format --check hforch tests bench
	$(BIN)/ruff check hforch tests bench
	@mkdir -p $(dir $(PAGE)) && cat hforch/report/page/parts/*.js > $(PAGE)
	$(BIN)/oxlint --config .oxlintrc.json --no-ignore $(PAGE)
	$(BIN)/mypy
	$(BIN)/python tests/wording.py

schema: install-dev  ## regenerate the JSON Schemas and the tables in docs/
	$(BIN)/hforch schema --write schema
	$(BIN)/python -m hforch.metrics.docs docs/metrics.md
	$(BIN)/python -m hforch.records.docs docs/metrics.md
	$(BIN)/python -m hforch.checks.docs docs/checks.md

format: install-dev  ## format the code, and fix lint errors that can be fixed automatically
	$(BIN)/ruff format hforch tests bench
	$(BIN)/ruff check --fix hforch tests bench

clean:  ## remove .venv and tool caches; keep the runs in outputs/ and the model cache
	rm -rf $(VENV) $(VENV)-newest .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

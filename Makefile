# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test install install-dev lint schema bench format clean help

help:  ## what there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: install  ## install, fetch the default model, answer a question with it
	$(BIN)/python -m hforch

test: install-dev  ## install what tests need, and run them all
	$(BIN)/python -m pytest

install: $(VENV)/.installed  ## hforch with all its backends, in .venv

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

lint: install-dev  ## formatting, lint and types
	$(BIN)/ruff format --check hforch tests bench
	$(BIN)/ruff check hforch tests bench
	$(BIN)/mypy

schema: install-dev  ## write the JSON Schemas of jobs, recipes and options anew
	$(BIN)/hforch schema --write schema

bench: install-dev  ## hforch against the bare libraries: prints ratios, writes a table into docs/; takes an hour
	$(BIN)/python -m bench
	$(BIN)/python -m bench.throughput --write docs/benchmarks.md
	$(BIN)/python -m bench.scoring
	$(BIN)/python -m bench.report

format: install-dev  ## mend formatting and what lint can mend
	$(BIN)/ruff format hforch tests bench
	$(BIN)/ruff check --fix hforch tests bench

clean:  ## remove .venv and what tools left behind; runs in outputs/ and the model cache stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dist

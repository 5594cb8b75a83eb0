# Every verb sets up what it needs by itself; `make help` lists them.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# How many processes run the tests; a file's tests stay together.
TESTERS ?= 2
CLIENTS := mlflow-2 mlflow-36 mlflow-317 mlflow-boosters

.PHONY: help setup check test test-full demo bench docs constraints
.DEFAULT_GOAL := help

help:
	@echo 'make demo        live a year of real flights with holdfast (under 3 minutes)'
	@echo 'make test        the tests, with a representative cut of the slow ones'
	@echo 'make test-full   every test'
	@echo 'make check       format, lint, types, architecture contracts, generated documents'
	@echo 'make bench       the benchmarks, results as JSON lines'
	@echo 'make docs        write the generated documents anew'
	@echo 'make setup       the virtual environment in $(VENV), from the pinned constraints'
	@echo 'make constraints pin the newest dependencies that fit pyproject.toml'

setup: $(STAMP)

$(STAMP): constraints.txt pyproject.toml tools/setup.sh
	@sh tools/setup.sh $(VENV)
	@touch $(STAMP)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --config .importlinter
	$(BIN)/python tools/generate_docs.py --check

test: setup
	@sh tools/system_packages.sh
	@for group in mlflow-317 libraries; do sh tools/judges.sh $$group; done
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile -m 'not slow'

test-full: setup
	@sh tools/system_packages.sh full
	@for group in judges libraries scanner mlflow-server $(CLIENTS); do sh tools/judges.sh $$group; done
	HOLDFAST_FULL=1 $(BIN)/python -m pytest -n $(TESTERS) --dist loadfile

demo: setup
	@$(BIN)/holdfast demo

bench: setup
	$(BIN)/python -m benchmarks

docs: setup
	$(BIN)/python tools/generate_docs.py

constraints: setup
	$(BIN)/uv pip compile -q pyproject.toml --extra server --extra demo --extra otel --group dev \
	  --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --upgrade -o constraints.txt
	for group in judges libraries scanner mlflow-server trackio $(CLIENTS); do $(BIN)/uv pip compile -q --group $$group --python-version 3.11 --universal \
	  --generate-hashes --no-header --no-emit-index-url --upgrade -o constraints-$$group.txt; done

# make demo   the main job on this machine, in a virtual environment of its own
# make test   all tests, with every real peer that can be installed
# make check  the static checks; make clean removes what these made
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Further arguments: make demo ARGS="--keep out ~/studies", make test ARGS="-k admission"
ARGS ?=

# Tests that start no node run on every core; those with whole nodes and real peers two at a time, for they wait a lot.
WITH_NODES := tests/integration tests/e2e
WITHOUT := tests $(WITH_NODES:%=--ignore=%)

INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test

.DEFAULT_GOAL := help
.PHONY: help demo test check format-check lint types imports clean

help:
	@sed -n 's/^# //p' Makefile | head -n 3

demo: $(INSTALLED)
	$(BIN)/ainode demo $(ARGS)

test: $(INSTALLED_TEST)
	.ci/peers
ifeq ($(strip $(ARGS)),)
	$(BIN)/python -m pytest -ra -n auto --dist loadfile $(WITHOUT)
	$(BIN)/python -m pytest -ra -n 2 --dist loadfile $(WITH_NODES)
else
	$(BIN)/python -m pytest -ra $(ARGS)
endif

check: format-check lint types imports

format-check: $(INSTALLED_TEST)
	$(BIN)/ruff format --check .

lint: $(INSTALLED_TEST)
	$(BIN)/ruff check .

types: $(INSTALLED_TEST)
	$(BIN)/mypy --strict node models

imports: $(INSTALLED_TEST)
	$(BIN)/lint-imports

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "no virtual environment could be made; on Debian: apt-get install python3-venv"; exit 1; }

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(INSTALLED_TEST): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(INSTALLED)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

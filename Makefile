# `make run` and `make test` set up everything they need, on a machine with Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.PHONY: run test check format bench soak clean
.DELETE_ON_ERROR:

run: $(INSTALLED)
	@$(BIN)/vgtui $(ARGS)

test: $(INSTALLED_DEV)
	$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# the peers that the engine is measured against are installed for this alone
bench: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 'jax[cpu]' nn-htop==0.1.2
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.dashboard
	$(BIN)/python -m benchmarks.lanes
	$(BIN)/python -m benchmarks.sweep
	$(BIN)/python -W ignore -m benchmarks.watch

# an hour of random use, with what it does to memory, files, processes and keys; MINUTES=10 for less
MINUTES ?= 60
soak: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "vgtui needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@echo "setting up $(VENV), once"
	@$(PYTHON) -m venv $(VENV)

$(INSTALLED): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(INSTALLED_DEV): $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(INSTALLED)

# `make run` and `make test` set up everything they need, on a machine with Python 3.11 or newer and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

.PHONY: run test test-all check format coverage mutants bench clinic soak attack lock dist man clean
.DELETE_ON_ERROR:
# the processes that tests start would compile every module again
unexport PYTHONDONTWRITEBYTECODE

run: $(INSTALLED)
	@$(BIN)/vgtui $(ARGS)

# what is about time runs last, with nothing beside it; of a part there may be none of the one or of the other (5)
PYTEST = $(BIN)/python -m pytest
IN_PARALLEL = -m "not timing" --numprocesses=logical --dist=worksteal
NONE_MAY_BE = $(if $(ARGS),|| [ $$? -eq 5 ])
test: $(INSTALLED_DEV)
	$(PYTEST) $(IN_PARALLEL) $(ARGS) $(NONE_MAY_BE)
	$(PYTEST) -m timing $(ARGS) $(NONE_MAY_BE)

# the long forms too: every combination with PyTorch, wide networks for theory, many random examples
test-all: override ARGS += --slow
test-all: test

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: $(INSTALLED_DEV)
	$(PYTEST) $(IN_PARALLEL) --cov --cov-report= $(ARGS) $(NONE_MAY_BE)
	$(PYTEST) -m timing --cov --cov-append --cov-report= $(ARGS) $(NONE_MAY_BE)
	$(BIN)/python -m coverage report --include='engine/*' --fail-under=98 --skip-covered
	$(BIN)/python -m coverage report --fail-under=90 --skip-covered

# changes the engine in thousands of small ways, and sees whether a test does; docs/mutants.md explains what is left
mutants: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	$(BIN)/mutmut run
	$(BIN)/mutmut results

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
	$(BIN)/python -m benchmarks.install
	$(BIN)/python -m benchmarks.results

# is the verdict right about networks that people reported, and about architectures that train? CASES=DIR for more cases
clinic: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 transformers timm nn-htop==0.1.2
	$(BIN)/python -W ignore -m benchmarks.clinic --cases benchmarks/cases $(CASES) --peers \
		--results benchmarks/CLINIC.txt
	$(BIN)/python -W ignore -m benchmarks.architectures --results benchmarks/ARCHITECTURES.txt

# an hour of random use, with what it does to memory, files, processes and keys; MINUTES=10 for less
MINUTES ?= 60
soak: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)
	$(BIN)/python -m benchmarks.results

# thousands of damaged files, kills at random moments, hostile sockets, full disks, slow lines; ROUNDS=100 for more
ROUNDS ?= 10
attack: $(INSTALLED_DEV)
	$(BIN)/python -m benchmarks.attack --rounds $(ROUNDS)

# a wheel and the source, in dist/
dist: $(INSTALLED_DEV)
	$(BIN)/python -m build --outdir dist .

man: $(INSTALLED_DEV)
	$(BIN)/python docs/manpage.py

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

$(INSTALLED_DEV): $(BIN)/python pyproject.toml requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@ $(INSTALLED)

# the versions that developers have, of everything that pyproject.toml asks for
lock: $(INSTALLED_DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --quiet --upgrade \
		--output-file requirements-dev.lock

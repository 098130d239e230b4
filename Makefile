# The four commands of this project are run, dev, check and test. Everything they need is made on the way.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes at a time on two cores: torch is not to use both cores in each.
PYTEST := env OMP_NUM_THREADS=1 $(BIN)/pytest -q --durations 10 --durations-min 5
STAMPS := .make
PAGE := backend/rankscope/static/index.html
PAGE_SOURCES := $(shell find frontend/src frontend/public frontend/index.html frontend/vite.config.ts docs/glossary.md -type f 2>/dev/null)

.PHONY: setup run dev check check-types check-python check-page format
.PHONY: test test-all test-models test-python test-page test-browser screenshots faults
.PHONY: bench bench-method bench-dispatch bench-live bench-limits bench-learning openapi recordings clean help

help:
	@echo "make run     start everything on this machine and open the printed link (ARGS='--port 9000')"
	@echo "make dev     the same, with the page's sources served and reloaded by Vite"
	@echo "make check   formatting, lint, types, drift of the generated API types"
	@echo "make test    page, Python and browser tests, side by side"
	@echo "make test-all  the same with every case of every test (an hour)"
	@echo "make test-models  dynamic_rank on all kinds of models (two minutes)"
	@echo "make faults  kills, freezes and damages the running stack (about an hour, half of it the soak; ARGS='--only child,worker' for some rows)"
	@echo "make bench   all benchmarks"

# ---------------------------------------------------------------- what the commands need

setup: $(STAMPS)/dev $(PAGE)

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "RankScope needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv $(VENV)

# Plain pip, so that pip's own configuration picks the CPU or the CUDA build of torch. Modules are compiled when they are
# first imported: most of the 2 GB never are.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile

$(STAMPS)/run: pyproject.toml requirements-demo.txt | $(BIN)/python
	mkdir -p $(STAMPS)
	$(PIP_INSTALL) --editable '.[worker]'
	$(PIP_INSTALL) --no-deps --requirement requirements-demo.txt
	touch $@

# What `run` needs too. After Node, whose wheel may have to be installed: two pip must not install at the same time.
$(STAMPS)/dev: pyproject.toml requirements-demo.txt | $(STAMPS)/node
	$(PIP_INSTALL) --editable '.[worker,dev]'
	$(PIP_INSTALL) --no-deps --requirement requirements-demo.txt
	touch $(STAMPS)/run $@

# Node: the system's where it is new enough for Vite, else the one from the wheel.
$(STAMPS)/node: | $(BIN)/python
	mkdir -p $(STAMPS)
	sh scripts/find-node.sh $(BIN) > $@.tmp && mv $@.tmp $@

$(STAMPS)/page: frontend/package.json frontend/package-lock.json $(STAMPS)/node
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	touch $@

$(PAGE): $(STAMPS)/page $(PAGE_SOURCES)
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" npm run --silent build
	touch $@

# ---------------------------------------------------------------- the commands

run: $(STAMPS)/run $(PAGE)
	@exec $(BIN)/rankscope up $(ARGS)

dev: $(STAMPS)/dev $(STAMPS)/page
	PATH="$$(cat $(STAMPS)/node):$$PATH" $(BIN)/python scripts/dev.py $(ARGS)

# Targets side by side; one that fails does not hide the result of another.
BESIDE := --no-print-directory --jobs 3 --keep-going

check: $(STAMPS)/dev $(STAMPS)/page
	@$(MAKE) $(BESIDE) check-types check-python check-page

# Alone, because it takes as long as all the others.
check-types: $(STAMPS)/dev
	$(BIN)/mypy

check-python: $(STAMPS)/dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/python -m rankscope.openapi --check

check-page: $(STAMPS)/page
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" && npm run --silent lint && npm run --silent types && npm run --silent gen:check

format: $(STAMPS)/dev $(STAMPS)/page
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" npm run --silent format

# The API's types for the page, after a change of the API.
openapi: $(STAMPS)/dev $(STAMPS)/page
	$(BIN)/python -m rankscope.openapi
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" npm run --silent gen

# Lives of runs for the page's tests, after a change of what the server sends.
recordings: $(STAMPS)/dev
	$(BIN)/python -m tests.page_recordings

# Page, Python and browser tests side by side: those of the browser wait more than they compute.
test: $(STAMPS)/dev $(PAGE)
	@$(MAKE) $(BESIDE) test-page test-python test-browser

SPREAD := --dist loadfile --no-loadscope-reorder

test-python: $(STAMPS)/dev
	nice $(PYTEST) $(if $(WIDE),-m "") --ignore tests/e2e --numprocesses 2 $(SPREAD)

# Every case of every test: `test` leaves out those that are marked wide, of tests that have others.
test-all: export WIDE := yes
test-all: test

# All kinds of models that dynamic_rank was tried with; `test` runs some of them.
test-models: $(STAMPS)/dev
	$(PYTEST) -m "" tests/dynamic_rank/test_model_kinds.py

test-page: $(STAMPS)/page
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" nice npm run --silent test

test-browser: $(STAMPS)/dev $(PAGE)
	$(PYTEST) tests/e2e --numprocesses 2 $(SPREAD)

# Pictures of the page in all states, light and dark, wide and narrow, in tests/e2e/screenshots.
screenshots: $(STAMPS)/dev $(PAGE)
	mkdir -p tests/e2e/screenshots
	RANKSCOPE_SCREENSHOTS=1 $(PYTEST) tests/e2e

# Breaks the real stack in every way of the table, the soak included, and holds that nothing is lost (ARGS='--only child:3 --seed 7').
faults: $(STAMPS)/dev
	$(BIN)/python -m tests.faults $(ARGS)

bench: bench-method bench-dispatch bench-live

bench-method: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.method

# Operators that a step dispatches: no noise, no GPU, half a minute.
bench-dispatch: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.dispatch $(ARGS)

# The trackers to compare with stand in an environment of their own: their dependencies are not ours.
$(STAMPS)/trackers:
	mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(STAMPS)/trackers-venv
	$(STAMPS)/trackers-venv/bin/pip install --quiet --disable-pip-version-check trackio==0.43.0 tensorboard==2.21.0
	touch $@

bench-live: $(STAMPS)/dev $(PAGE) $(STAMPS)/trackers
	$(BIN)/python -m tests.bench.live --trackers $(STAMPS)/trackers-venv/bin/python $(ARGS)

bench-limits: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.limits

# Hours on two cores; goes on where it was cut off. Not part of `bench`.
bench-learning: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.learning

clean:
	rm -rf $(VENV) $(STAMPS) frontend/node_modules backend/rankscope/static

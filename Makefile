# Every target sets itself up; nothing needs an activated environment.
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHON ?= python3
WORKERS ?= 2

# Tests start processes, whose imports take seconds where no bytecode may be kept.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all lint format plots bench bench-peers build clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed ## Install al-bench and its tools into .venv

# uv where present, else venv and pip; bytecode is compiled now rather than at the first command.
$(VENV)/.installed: pyproject.toml constraints.txt
ifneq ($(UV),)
	test -x $(BIN)/python || "$(UV)" venv --quiet --python "$(PYTHON)" $(VENV)
	UV_COMPILE_BYTECODE=1 "$(UV)" pip install --quiet --python $(BIN)/python -e ".[dev]" -c constraints.txt
else
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]" -c constraints.txt
endif
	@touch $@

demo: setup ## Compare random, BALD and BatchBALD on real digits and draw the curves (minutes)
	$(BIN)/al-bench run experiment=demo workers=$(WORKERS) results=results/demo
	$(BIN)/al-bench plot results/demo

test: setup ## Run the fast tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not slow and not gpu and not network"

test-slow: setup ## Run the tests that take minutes: every kill point, joblib, interruptions
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "slow and not gpu and not network"

test-all: setup ## Run all tests that need neither a GPU nor the internet
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not gpu and not network"

lint: setup ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## Put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

plots: setup ## Redraw every figure under results/
	$(BIN)/al-bench plot results

bench: setup ## Measure rounds, packs, scoring and strategies; BENCH="--only badge --quick" for some
	$(BIN)/python scripts/benchmark_round.py
	$(BIN)/python scripts/benchmark_engine.py
	$(BIN)/python scripts/benchmark_scoring.py
	$(BIN)/python scripts/benchmark_strategies.py $(BENCH)

bench-peers: setup ## Measure a whole run beside baal and batchbald_redux; MNIST=FOLDER (an hour or more)
ifneq ($(UV),)
	"$(UV)" pip install --quiet --python $(BIN)/python -e ".[peers]" -c constraints.txt
else
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[peers]" -c constraints.txt
endif
	$(BIN)/python scripts/benchmark_end_to_end.py --root "$(MNIST)"

build: setup ## Build wheel and source distribution and look inside
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m zipfile -l dist/*.whl | grep al_bench/conf/config.yaml >/dev/null

clean: ## Remove caches and builds, never results
	rm -rf dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

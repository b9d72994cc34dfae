# Everything runs in .venv, which the first target makes. PYTHON chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help grade test proof test-slow test-newest check stubs bench bench-training mutants diagnoses fuzz format clean

grade: .venv/ready  ## install, then see a pass and a diagnosis
	@echo "--- the reference solution of problem 46 ---"
	@$(BIN)/python -m grader solutions/46_vit_cls.py
	@echo
	@echo "--- a wrong answer that comes with the package ---"
	@$(BIN)/python -m grader tests/answers/demo/46_last_row.py || test $$? -eq 1

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */|/' | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

test: .venv/ready-dev  ## the suite, but for what is slow
	$(BIN)/python -m pytest -n 2 --dist loadgroup

proof: .venv/ready-dev  ## all known mistakes, all right and all wrong answers
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "" tests/specs

test-slow: .venv/ready-dev  ## what takes long, or needs torch; compiled as for a user
	XLA_FLAGS= $(BIN)/python -m pytest -n 2 --dist loadgroup -m slow

test-newest:  ## the suite with all packages at their newest; PYTHON=python3.13 for a newer JAX
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip --disable-pip-version-check -q install -e '.[dev]'
	.venv-newest/bin/python -m pytest -n 2 --dist loadgroup

check: .venv/ready-dev  ## style, format, types, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m grader.study.stubs --check
	$(BIN)/python -m grader.study.problem_notebooks --check
	$(BIN)/python -m notebooks.build --check

stubs: .venv/ready-dev  ## write problems/ and problems/notebooks/ from solutions/
	$(BIN)/python -m grader.study.stubs
	$(BIN)/python -m grader.study.problem_notebooks

.PHONY: notebooks
notebooks: .venv/ready-dev  ## make notebooks/*.ipynb from their sources and run them; NAME=… for one
	$(BIN)/python -m notebooks.build $(NAME)

bench: .venv/ready-dev bench-training  ## timings, as ratios within one run
	$(BIN)/python -m tests.bench

bench-training: .venv/ready-dev  ## images/s of the training step, beside PyTorch where it is installed
	$(BIN)/python -m tests.bench.training

format: .venv/ready-dev  ## mend style and format
	$(BIN)/ruff check --fix -q .
	$(BIN)/ruff format -q .

clean:  ## remove what was installed and built
	rm -rf .venv .venv-newest build *.egg-info .pytest_cache .mypy_cache .ruff_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/ready: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing into .venv (a minute or two the first time)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

.venv/ready-dev: .venv/ready
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

mutants: .venv/ready-dev  ## mutate the references mechanically; the grader must notice
	$(BIN)/python -m tests.mutants
	$(BIN)/python -m tests.readme

diagnoses: .venv/ready-dev  ## how often the first diagnosis is the right one (an hour)
	$(BIN)/python -m tests.diagnoses
	$(BIN)/python -m tests.readme

fuzz: .venv/ready-dev  ## 2,000 mutated references; COUNT=… and FIRST=… choose others
	$(BIN)/python -m tests.hostile.fuzz --count $(or $(COUNT),2000) --first $(or $(FIRST),0)

.DEFAULT_GOAL := help
.PHONY: help report report-full test test-oldest test-newest other-models lint docs bench clean

PYTHON ?= python3
BIN := .venv/bin
OLDEST_JAX := $(shell sed -n 's/^dependencies.*"jax>=\([0-9.]*\)".*/\1/p' pyproject.toml)
NEWEST_PYTHON ?= $(shell PYTHON=$(PYTHON) .ci/newest-python)
OLDEST_FLAX := $(shell sed -n 's/^flax = \["flax>=\([0-9.]*\)".*/\1/p' pyproject.toml)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

report: .venv/report ## check jaxinit against the installed torch; writes report/report.html
	$(BIN)/jaxinit report --quick --out report

report-full: .venv/report ## the same with every case
	$(BIN)/jaxinit report --out report

test: .venv/test ## run every test and every example of the documentation
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# To check for tracer leaks doubles the time of a test. These are the tests of what is traced.
TRACED := tests/jaxinit/initializers tests/jaxinit/sampling tests/jaxinit/models/nnx

test-oldest: .venv-oldest/test ## the same with the oldest jax and flax that pyproject admits, and tracer leaks checked
	JAXINIT_CHECK_TRACER_LEAKS=1 .venv-oldest/bin/python -m pytest --numprocesses 2 --dist loadfile $(TRACED)
	.venv-oldest/bin/python -m pytest --numprocesses 2 --dist loadfile $(TRACED:%=--ignore %)

test-newest: ## the same with the newest Python here, and nothing pinned
	@if [ -z "$(NEWEST_PYTHON)" ]; then echo "test-newest: no Python newer than $(PYTHON) on the path or in pyenv"; \
	else $(MAKE) --no-print-directory .venv-newest/test && .venv-newest/bin/python -m pytest --numprocesses 2 --dist loadfile; fi

other-models: .venv/models ## record models of transformers, timm and torchvision, and compare them with ports
	$(BIN)/python -m pytest --numprocesses 2 tests/other_models

lint: .venv/lint ## format check, lint and strict types, by two checkers on the program of a user
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: .venv/docs ## build the site into docs/_build
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build

bench: .venv/test ## speed, memory and scale beside jax.nn.initializers and torch; writes the tables of docs/background/speed.md
	for script in $$(grep -l "^import turns" benchmarks/*.py); do \
		echo "== $$script"; $(BIN)/python $$script --out docs/benchmarks || exit 1; done

clean: ## remove what these commands made
	rm -rf .venv .venv-oldest .venv-newest report docs/_build

# One environment; each stamp adds what its target needs. Versions come from constraints.txt.
INSTALL = $(BIN)/python -m pip install --quiet --constraint constraints.txt

.venv/made: constraints.txt
	$(PYTHON) -m venv --clear .venv
	$(INSTALL) --upgrade pip
	@touch $@

.venv/report: .venv/made pyproject.toml
	$(INSTALL) --editable '.[conformance]'
	@touch $@

.venv/test: .venv/report
	$(INSTALL) --editable '.[flax]' --group test
	@touch $@

.venv/lint: .venv/test
	$(INSTALL) --group lint
	@touch $@

.venv/models: .venv/test
	$(INSTALL) --group models
	@touch $@

.venv/docs: .venv/test
	$(INSTALL) --group docs
	@touch $@

.venv-oldest/test: constraints.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv-oldest
	sed -e 's/^jax\(lib\)\{0,1\}==.*/jax\1==$(OLDEST_JAX)/' -e 's/^flax==.*/flax==$(OLDEST_FLAX)/' \
		constraints.txt > .venv-oldest/constraints.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/constraints.txt --upgrade pip
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/constraints.txt \
		--editable '.[conformance,flax]' --group test
	@touch $@

.venv-newest/test: pyproject.toml
	$(NEWEST_PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade pip
	.venv-newest/bin/python -m pip install --quiet --editable '.[conformance,flax]' --group test
	@touch $@

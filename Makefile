# Crossbook's commands. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# What is compiled, read from the one list in pyproject.toml; names without a file are skipped.
COMPILED := $(wildcard $(shell sed -n '/^compiled = \[/,/^\]/s/.*"\(.*\)".*/\1/p' pyproject.toml))
# Which build is wanted: another one is made when the answer changes.
BUILD := $(if $(filter 1,$(CROSSBOOK_PURE)),pure,$(if $(shell command -v cc gcc clang),native,source))

# The tests of everything that exists both compiled and as source.
ENGINE_TESTS := $(wildcard tests/domain tests/matching tests/replay)

export UV_PYTHON_DOWNLOADS := never
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

# uv is quick, but does not read pip's settings; where only pip knows the way to the packages, pip goes.
# Either way every file is checked against its recorded hash.
define packages
	@$(BIN)/uv pip install --quiet --require-hashes --no-deps -r $(1) \
	|| { echo "uv could not install $(1), trying pip"; \
	     $(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(1); }
endef

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

.PHONY: install
install: $(VENV)/.project-$(BUILD) ## make .venv, compile the engine where a C compiler is found

$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Crossbook needs Python 3.11 or newer: make PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.packages: requirements/dev.txt $(VENV)/.uv
	$(call packages,$<)
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.packages
	$(call packages,$<)
	@touch $@

$(VENV)/.project-$(BUILD): pyproject.toml setup.py $(COMPILED) $(VENV)/.packages
	@rm -f $(VENV)/.project-*
	@find src -name '*.so' -delete
	@$(BIN)/uv pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@
	@echo "crossbook is installed in $(VENV), $$(find src -name '*.so' | grep -q . && echo 'with the compiled engine' || echo 'in pure Python')"

.PHONY: run
run: install ## start a venue with everything it needs on http://127.0.0.1:8000 (UP="--port 9000" for options)
	@$(BIN)/crossbook up $(UP)

.PHONY: test
test: install ## run the tests on the compiled engine, then the engine's again from source
	$(BIN)/python -m pytest -q
	CROSSBOOK_INTERPRETED=1 $(BIN)/python -m pytest -q $(ENGINE_TESTS)

.PHONY: check
check: install ## lint, format, types, import contracts, house rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house_rules.py

.PHONY: format
format: install ## put the source into its format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: bench
bench: install $(VENV)/.bench ## measure the engine, beside other engines, and the venue
	$(BIN)/python -m benchmarks

.PHONY: soak
soak: install ## a million random commands per seed through both engines
	$(BIN)/python -m pytest -q -m soak

.PHONY: lock
lock: install ## renew requirements/ (UPGRADE=1 for newest versions)
	$(BIN)/uv pip compile $(LOCK) requirements/uv.in -o requirements/uv.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra plot --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --extra plot --extra bench --group dev \
	  --constraint requirements/dev.txt -o requirements/bench.txt

LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
  $(if $(UPGRADE),--upgrade)

.PHONY: clean
clean: ## remove everything that was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
	find src tests -name '*.so' -delete -o -name '__pycache__' -prune -exec rm -rf {} +

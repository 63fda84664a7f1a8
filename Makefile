# `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= auto
# Compiled modules are kept whatever the shell says: the processes that tests start read them.
unexport PYTHONDONTWRITEBYTECODE
# Programs that some tests of the slow tier need and that are missing here. These tests are left out,
# but fail if COLLOQUY_REQUIRE_TOOLS is set, as in CI.
MISSING := $(if $(COLLOQUY_REQUIRE_TOOLS),,$(strip \
	$(shell command -v node >/dev/null && command -v npm >/dev/null || echo node) \
	$(shell command -v chromium >/dev/null || echo chromium) \
	$(shell command -v faketime >/dev/null || echo faketime)))
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)

run_tests = $(BIN)/pytest -n $(JOBS) --dist worksteal -m "$(1)" $(ARGS)

.DEFAULT_GOAL := help
.PHONY: help run dev test test-slow check hooks schema docs soak bench lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 17

run: $(VENV)/.run ## install, start Postgres, create the schema and a demo course, serve
	@exec $(BIN)/colloquy serve --demo

dev: $(VENV)/.run ## serve the demo, and restart when a file of the code changes
	@exec $(BIN)/python -m tests.dev

test: $(VENV)/.dev ## the tests of every change, against a real PostgreSQL (4 minutes on 2 cores)
	@echo "Left out: the slow tier (make test-slow) takes long, kills processes or runs other programs."
	$(call run_tests,not slow)

test-slow: $(VENV)/.dev ## the slow tier: generated requests, costs on long logs, kills, browsers
	@echo '$(if $(MISSING),Left out: $(MISSING) is not installed (node: with npm): some tests of the tier need it.,All of the slow tier:)'
	$(call run_tests,slow$(if $(MISSING), and not $(subst $(SPACE), and not ,$(MISSING))))

check: $(VENV)/.dev ## ruff, mypy strict, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

hooks: $(VENV)/.dev ## have git run ruff and mypy before each commit
	git config core.hooksPath .githooks

schema: $(VENV)/.dev ## regenerate sql/schema, after adding a migration
	$(BIN)/python -m tests.sql.schema

docs: $(VENV)/.dev ## regenerate the generated pages of docs/
	$(BIN)/python -m tests.docs

soak: $(VENV)/.dev ## minutes of faults, then the log is checked: make soak ARGS="--minutes 10 --seed 7"
	$(BIN)/python -m tests.soak $(ARGS)

bench: $(VENV)/.dev ## the benchmarks: ratios against peers and bare floors, in one run
	$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/.dev ## regenerate requirements*.txt from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-header --extra build --extra embedded -o requirements.txt
	uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-header --extra build --extra embedded --extra dev -c requirements.txt -o requirements-dev.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Colloquy needs Python 3.11 or newer; $(PYTHON) is older (try: make PYTHON=python3.12 …)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

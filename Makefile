# Everything that a newcomer types. `make run` and `make test` do all the set-up themselves.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help run test check bench crash simulate format lock clean

# The first interpreter that is new enough; PYTHON=/path/to/python overrides.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; exit; }; done; echo none)
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
NODE_READY := tests/e2e/node/node_modules/.package-lock.json

help:
	@echo 'make run     set up and start the server on http://127.0.0.1:3000'
	@echo 'make test    set up and run the tests'
	@echo 'make check   format, lint, types and import rules'
	@echo 'make bench   measure the live round trip against python-socketio; ARGS=fanout, stalled, replay, reconnect: many clients; append, commit, revival, reading: the log; idle, known, actors: scale'
	@echo 'make simulate  a whole server on virtual time, with faults, from 200 seeds; SEEDS=n FROM=s'
	@echo 'make crash   kill -9 under load, ten times; ARGS="--rounds 1000" for a campaign'

$(BIN)/python:
	@test "$(PYTHON)" != none || { \
		echo 'Greenroom needs Python 3.11 or newer, and none was found on the PATH (set PYTHON=/path/to/python).'; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'Greenroom needs Python 3.11 or newer; $(PYTHON) is older or does not run.'; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo 'This Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv'; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)

# The locks are complete, so nothing is left to resolve. Asked to, pip looks at releases newer than the lock
# (of `coverage[toml]`, say) and fails the day one appears.
$(VENV)/.ready: $(BIN)/python pyproject.toml requirements.lock
	@echo 'Setting up (once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.ready requirements-dev.lock
	@echo 'Setting up what the tests need (once) ...'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

run: $(VENV)/.ready
	@$(BIN)/greenroom serve $(ARGS)

# npm's client of the end-to-end tests; where there is no npm, they are skipped and say so.
$(NODE_READY): tests/e2e/node/package-lock.json
	@command -v npm >/dev/null || exit 0; cd tests/e2e/node && npm ci --no-audit --no-fund --silent \
		|| echo "npm ci failed: the tests with npm's client are skipped"

# A process a core, and the tests of one file in one process: many of them share a server.
test: $(VENV)/.dev-ready $(NODE_READY)
	@$(BIN)/python -m pytest --cov --cov-report=term -n auto --dist loadfile $(ARGS)

check: $(VENV)/.dev-ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache

# Figures are ratios within one run; ARGS=--help tells what can be set, another server's URL among it.
bench: $(VENV)/.dev-ready
	@$(BIN)/python -m bench $(ARGS)

crash: $(VENV)/.dev-ready
	@$(BIN)/python -m bench.crash $(ARGS)

SEEDS ?= 200
FROM ?= 0
simulate: $(VENV)/.dev-ready
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM) $(ARGS)

format: $(VENV)/.dev-ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Locks for every supported Python at once; run after a change of the dependencies.
lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra build -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache

# `make run` starts the agent, `make test` runs the tests; each sets up what it needs.

PYTHON ?= $(shell for v in python3.13 python3.12 python3.11 python3; do \
	$$v -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$v && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run serve test check client clean help

help: ## Show the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: $(VENV)/.run ## Start the agent on http://127.0.0.1:8080
	$(BIN)/python -m pipecatcloud_system

serve: $(VENV)/.run ## Start the control plane on http://127.0.0.1:7860
	$(BIN)/python -m runtime

test: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## Check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py

client: ## Build the page anew (needs Node.js)
	cd client && npm ci && npm run build

clean: ## Remove the environment
	rm -rf $(VENV)

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and none was found" \
		"(set PYTHON=/path/to/python3.12)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(VENV)/bin/pip requirements.txt constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m compileall -q avatar offline pipecatcloud_system runtime services bot.py
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

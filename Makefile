# What a person types here. The work is done by bin/*.py and the tools in .venv.

.DEFAULT_GOAL := help
.PHONY: help setup dev run test faults soak bench lint types imports vendor test-tools ci-setup

BIN := .venv/bin
# A name on the path may still not run (pyenv's shims), so every candidate is asked for its version.
VERSION_CHECK := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON := for p in $(PYTHON) .venv/bin/python python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c '$(VERSION_CHECK)' >/dev/null 2>&1 && break; p=python3; done; $$p

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install everything that runs the product, into .venv only
	@$(FIND_PYTHON) bin/setup.py

run: setup ## Start the whole product with demo data (ARGS="--port 8010" passes options)
	@$(BIN)/portal up --demo $(ARGS)

test: dev test-tools lint types imports ## Check style, types and architecture, then run all tests (ARGS="-k word")
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

faults: dev ## Break everything for long, and write what was found into docs/faults.md
	FAULTS=long FAULTS_SEED=$${FAULTS_SEED:-$$$$} $(BIN)/pytest tests/faults -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: dev ## Draw random lives of texts for MINUTES=30, judged at every step (SOAK_SEED=7 draws the same again)
	SOAK_MINUTES=$${MINUTES:-30} SOAK_SEED=$${SOAK_SEED:-$$$$} $(BIN)/pytest -q --capture=sys -n 0 \
		tests/core/rules/test_status_state_machine.py tests/delivery/test_delivery_state_machine.py $(ARGS)

bench: dev ## Measure speed and pacing, 20 minutes (ARGS="pace urgent" picks chapters and writes nothing)
	$(BIN)/python -m benchmarks $(ARGS)

lint: dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev ## Check types
	$(BIN)/mypy

imports: dev ## Check that every room imports only what it may
	$(BIN)/lint-imports

vendor: ## Fetch again the pinned front-end files in portal/static/vendor
	@$(FIND_PYTHON) bin/vendor.py

dev: # setup, and the tools for tests
	@$(FIND_PYTHON) bin/setup.py --dev

test-tools: # Programs that some tests drive: Chromium, nginx, Caddy, PgBouncer, the HTML checker
	@$(FIND_PYTHON) bin/test_tools.py

ci-setup: dev test-tools ## Install all that the tests need, and run none

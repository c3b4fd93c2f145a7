# Commands for people; the work is done by bin/*.py and the tools in .venv.

.DEFAULT_GOAL := help
.PHONY: help setup dev run test faults soak fuzz bench screenshots lint types imports messages vendor wheel sbom audit-dependencies test-tools ci-setup

BIN := .venv/bin
# A program on the path may not work (pyenv's shims), so each candidate has to tell its version.
VERSION_CHECK := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON := for p in $(PYTHON) .venv/bin/python python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c '$(VERSION_CHECK)' >/dev/null 2>&1 && break; p=; done; \
	[ "$$p" ] || { echo "The portal needs Python 3.11 or newer. Install it, or run make PYTHON=/path/to/python3.12" >&2; exit 1; }; $$p

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what runs the product, into .venv only
	@$(FIND_PYTHON) bin/setup.py

run: setup ## Start the whole product with demo data (ARGS="--port 8010" passes options)
	@$(BIN)/portal up --demo $(ARGS)

test: dev test-tools lint types imports ## Check style, types and imports, then run all tests (ARGS="-k word")
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

faults: dev ## Run the fault scenarios in their long form, and write the figures to docs/faults.md
	FAULTS=long FAULTS_SEED=$${FAULTS_SEED:-$$$$} $(BIN)/pytest tests/faults -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: dev ## Run random sequences of events for MINUTES=30, checked at every step (SOAK_SEED=7 repeats them)
	SOAK_MINUTES=$${MINUTES:-30} SOAK_SEED=$${SOAK_SEED:-$$$$} $(BIN)/pytest -q --capture=sys -n 0 \
		tests/core/rules/test_status_state_machine.py tests/delivery/test_delivery_state_machine.py $(ARGS)

fuzz: dev ## Send 10,000 random requests to every route, as everybody
	FUZZ_REQUESTS=$${FUZZ_REQUESTS:-10000} $(BIN)/pytest -q -n 0 --durations=1 tests/web/access/test_fuzzed_requests.py $(ARGS)

bench: dev ## Measure speed and pacing, 20 minutes (ARGS="pacing urgent" runs those only, and writes nothing)
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: dev ## Take the pictures in docs/guide/pictures again, after the pages that they show have changed
	@$(BIN)/python -m tests.support.commands.screenshots

lint: dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev ## Check types
	$(BIN)/mypy

imports: dev ## Check that packages import only what they may
	$(BIN)/lint-imports

messages: dev ## Collect what translators translate, and bring their catalogs up to date (docs/translating.md)
	@$(BIN)/pybabel -q extract -F babel.cfg -k lazy_gettext --no-location --no-wrap --sort-output -o messages.pot .
	@$(BIN)/pybabel -q update -i messages.pot -d portal/translations --no-wrap --no-fuzzy-matching \
		--ignore-obsolete --ignore-pot-creation-date
	@$(BIN)/pybabel -q compile -d portal/translations

vendor: ## Fetch the pinned front-end files in portal/static/vendor again
	@$(FIND_PYTHON) bin/vendor.py

wheel: setup ## Build the last commit into dist/, with its bill of materials; the same commit gives the same bytes
	@$(BIN)/python bin/wheel.py $(ARGS)

sbom: ## Write the bill of materials (CycloneDX) of the locked packages to dist/sbom.cdx.json
	@mkdir -p dist && $(FIND_PYTHON) bin/sbom.py dist/sbom.cdx.json && echo dist/sbom.cdx.json

audit-dependencies: setup ## Compare the locked packages with the published vulnerabilities; needs the internet
	@$(BIN)/python bin/audit_dependencies.py

dev: # Setup, and the tools for tests
	@$(FIND_PYTHON) bin/setup.py --dev

test-tools: # Install programs that some tests drive: Chromium, nginx, Caddy, PgBouncer, checkers of HTML and units
	@$(FIND_PYTHON) bin/test_tools.py

ci-setup: dev test-tools ## Install what the tests need, and run none

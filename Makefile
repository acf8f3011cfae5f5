# Two commands for everybody: `make demo` and `make test`. Each sets up what it needs.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Short tests wait half of the time, so three processes keep two cores busy; long ones fill them.
BY_FILE := --dist loadscope --no-loadscope-reorder

.PHONY: demo test test-full test-stack test-engine lint format bench faults pictures sbom licences wheel clean
.DEFAULT_GOAL := demo

# A stamp holds the requirements' sums, so that set-up is done once and again when they change.
$(VENV)/run.stamp: requirements/build.txt requirements/run.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || python3 -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; set PYTHON=/path/to/it"; exit 1; }
	$(INSTALL) --require-hashes -r requirements/build.txt
	$(INSTALL) --require-hashes --no-build-isolation -r requirements/run.txt
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: requirements/test.txt $(VENV)/run.stamp
	$(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@

demo: $(VENV)/run.stamp
	@$(BIN)/shop demo

# What a commit should pass, in some minutes.
test: $(VENV)/test.stamp lint
	$(BIN)/python -m pytest -n 3 $(BY_FILE) -m "not slow"

# All other tests: whole runs, the browser, the stack, faults. With FULL=1 by all 69,659 orders in
# every style and a hundred kills, which takes far longer.
test-full: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n 2 $(BY_FILE) -m slow

# compose.yaml's services as processes, on Postgres, with certificates, passwords and rights.
test-stack: $(VENV)/test.stamp
	$(BIN)/python -m pytest tests/stack

# The same in containers, as root, on an engine that .ci/install-engine fetches.
test-engine: $(VENV)/test.stamp
	TEST_ENGINE=1 $(BIN)/python -m pytest tests/engine

lint: $(VENV)/test.stamp
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/test.stamp
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.request_reply
	$(BIN)/python -m benchmarks.stack

# Everything that goes wrong in production, for about an hour; SEED=… repeats a run's choices.
faults: $(VENV)/test.stamp
	$(BIN)/python -m tests.faults $(if $(SEED),--seed $(SEED))

# What README shows: the Revenue page after a whole run. It needs Chromium.
pictures: $(VENV)/test.stamp
	SHOP_HOME=var/pictures DEMO_EXIT=1 $(BIN)/shop demo
	$(BIN)/python -m tests.browser.pictures var/pictures docs/pictures/revenue.png

# What is installed for running, with sums and licences: for whoever must know, and for docs/.
sbom: $(VENV)/test.stamp
	$(BIN)/python -m supply_chain.sbom

licences: $(VENV)/test.stamp
	$(BIN)/python -m supply_chain.licences

# From the sdist, so that nothing of an earlier build gets in; with no network.
wheel: $(VENV)/run.stamp
	rm -rf dist
	$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' > /dev/null
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-index --no-deps \
		--no-build-isolation --wheel-dir dist dist/*.tar.gz
	@ls dist/*

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

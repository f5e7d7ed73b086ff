# make run: installs and runs the main study. make test: installs and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run quick test oldest check audit reference docs
run: $(VENV)/run.stamp
	$(BIN)/python -m ablations run studies/one_by_one.yaml --profile starter
	@echo "To run more commands: source $(BIN)/activate"

# Tests go to the processes one by one, long ones first; tests/conftest.py names those that stay together. There is one process
# more than cores, since some tests wait for others.
test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 3

# All but the tests marked slow.
quick: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 -m "not slow"

# The oldest versions that pyproject.toml allows, in build/oldest: the unit tests and a run with the real command. uv resolves
# to them, pip cannot. One test is left out: torch 2.11 crashes where it loads that exported network (LOG.md, 2026-11-27).
LOADS := tests/unit/ablations/tracking/test_logged_models.py::test_a_confirmations_network_is_loaded_as_it_was_trained
oldest: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/oldest
	$(BIN)/uv pip install --quiet --python build/oldest --resolution lowest-direct --editable '.[test]'
	build/oldest/bin/python -m pytest -n 2 --deselect $(LOADS) tests/unit tests/functional/test_run.py

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml ablations nin benchmarks

# Known vulnerabilities of the versions in constraints.txt. It needs PyPI's vulnerability service, so it is no part of `check`:
# `check` must pass without a network, and on the day of a discovery.
audit: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

# The schema of a study file, for editors, and the page about it.
reference: $(VENV)/run.stamp
	$(BIN)/python -m ablations schema > studies/study.schema.json
	$(BIN)/python docs/reference.py

# The site, in build/site: pages that open without a server. mkdocs advertises its successor in a warning.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# pyproject.toml decides the packages, constraints.txt their versions.
$(VENV)/run.stamp: pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: about 6 GB if torch brings its CUDA libraries, a few minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster,test,dev]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

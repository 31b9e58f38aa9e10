# Each target sets up .venv by itself where it is missing or incomplete.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
EXTRAS := ray slurm optuna server
# A file of tests in a process, one for each core, as far as memory goes
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help train test test-fast test-guides test-extras server lint mutants bench claims readme-figures screenshots wrong-input repro lock clean

help: ## this list; ARGS="..." passes further settings on: make train ARGS="model=linear epochs=5"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

train: .venv/complete ## the main job: an MLP with Adam on MNIST
	$(BIN)/python train.py model=mlp optimizer=adam $(ARGS)

test: .venv/complete ## all tests
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-fast: .venv/complete ## the tests that take no seconds
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow" $(ARGS)

test-guides: .venv/complete ## the commands of the guides, each in a fresh checkout
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 tests/guides $(ARGS)

# What they need besides this project's packages lies in an environment of its own
test-extras: .venv-extras/complete ## the tests of Ray, Slurm, Optuna and PostgreSQL, each where it is installed
	.venv-extras/bin/python -m pytest tests/extras $(ARGS)

server: .venv-extras/complete ## MLflow's server on PostgreSQL, for several machines to write one record
	.venv-extras/bin/python -m factorial server $(ARGS)

lint: .venv/complete ## ruff, and mypy in strict mode
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

mutants: .venv/complete ## breaks the code in hundreds of places, and sees that tests fail
	$(BIN)/python tests/mutants.py $(ARGS)

bench: .venv/complete ## seconds an epoch, beside the article's own loop
	$(BIN)/python benchmarks/article.py $(ARGS)

claims: .venv/complete ## the numbers of docs/results.md, measured again on MNIST
	$(BIN)/factorial claims $(ARGS)

wrong-input: .venv/complete ## what every command says to wrong input, anew into docs/wrong-input.md
	$(BIN)/python tests/test_wrong_input.py

readme-figures: .venv/complete ## their numbers and pictures anew; trains what is not on record
	$(BIN)/factorial claims write=true $(ARGS)

screenshots: .venv/complete ## the pictures of pages in the docs anew, of a small sweep on the digits
	$(BIN)/python tests/screenshots.py

# DVC in an environment of its own; its programs find this project's python first
repro: .venv/complete .venv-dvc/complete ## data, sweep and report as a DVC pipeline
	PATH="$(CURDIR)/$(BIN):$$PATH" .venv-dvc/bin/dvc repro $(ARGS)

# For Linux, macOS and Windows, Python 3.11 to 3.13; no index is named.
lock: .venv/complete ## newest versions of all packages, with their hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --upgrade --extra dev pyproject.toml --output-file requirements.lock

	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --upgrade --constraint requirements.lock --extra dev $(addprefix --extra ,$(EXTRAS)) \
	    pyproject.toml --output-file requirements-extras.lock

	echo "dvc>=3.60" | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --upgrade - --output-file requirements-dvc.lock

clean: ## removes the environments
	rm -rf .venv .venv-dvc .venv-extras

# Installs $(2) into $(1), in plain sight. Of pip's warnings it leaves out a line for each package and
# each folder of packages that pip's configuration names and that does not hold the package.
define install
@{ { $(1)/bin/python -m pip --disable-pip-version-check install $(2) 2>&1 >&3; echo $$? >$(1)/status; } \
    | grep --line-buffered -v "is ignored: it is neither a file nor a directory" >&2; } 3>&1; \
exit $$(cat $(1)/status)
endef

# The last line of an installation: until it stands, an interrupted one starts afresh.
.venv/complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit(f"Factorial needs Python 3.11 or newer; {sys.executable} is {v}: make PYTHON=/path/to/another")'
	@test -f $@ || $(PYTHON) -m venv --clear .venv
	@rm -f $@
	@echo "installing Factorial's packages into .venv: 6 GB, minutes; once"
	$(call install,.venv,--require-hashes --requirement requirements.lock)
	$(call install,.venv,--quiet --no-deps --no-build-isolation --editable .)
	@touch $@

# On top of .venv, whose packages it finds by a path: six gigabytes less
.venv-extras/complete: .venv/complete requirements-extras.lock
	@$(PYTHON) -m venv --clear .venv-extras
	@echo "installing what $(EXTRAS) need into .venv-extras, once"
	@$(BIN)/python -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" % s.get_path("purelib"))' \
	    >"$$(.venv-extras/bin/python -c 'import sysconfig as s; print(s.get_path("purelib"))')/beneath.pth"
	$(call install,.venv-extras,--require-hashes --no-deps --requirement requirements-extras.lock)
	@touch $@

.venv-dvc/complete: requirements-dvc.lock
	@$(PYTHON) -m venv --clear .venv-dvc
	@echo "installing DVC into .venv-dvc, once"
	$(call install,.venv-dvc,--require-hashes --requirement requirements-dvc.lock)
	@touch $@

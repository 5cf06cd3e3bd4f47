# `make help` lists what is supported.
SHELL := /bin/sh
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
export DEBIAN_FRONTEND := noninteractive

.DEFAULT_GOAL := help
.PHONY: help setup engine up test test-fast test-framework test-long lint format golden bench bench-docs bench-compare report constraints host-tools bench-tools test-tools clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.ready ## Make the virtual environment and install devbox into it (.venv/bin/devbox)

$(VENV)/.ready: pyproject.toml constraints.txt images/frameworks/coditect/pyproject.toml
	@.ci/python-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable images/frameworks/coditect
	@$(BIN)/python -m compileall -q builder images/frameworks/coditect/coditect
	@touch $@

engine: ## Use the container engine that is reachable; else install and start Debian's docker.io
	@.ci/engine

host-tools: # what a machine without an image registry needs to make a base image
	@command -v mmdebstrap >/dev/null || command -v debootstrap >/dev/null || .ci/apt-install mmdebstrap

bench-tools: host-tools # and the baselines of the bench: a base by debootstrap, an archive packed as people pack it
	@command -v debootstrap >/dev/null || .ci/apt-install debootstrap
	@command -v zstd >/dev/null || .ci/apt-install zstd

test-tools: host-tools # what the tests need besides Python: a browser, backups
	@command -v chromium >/dev/null || .ci/apt-install chromium
	@command -v restic >/dev/null || .ci/apt-install restic

up: setup engine host-tools ## From a clean clone to a running desktop
	@$(BIN)/devbox up

test: setup engine test-tools lint ## Run every test but the long ones; sets up all that it needs
	@$(BIN)/python -m pytest -m "not long"

test-fast: setup ## Only the tests that need no engine
	@$(BIN)/python -m pytest -q tests/unit tests/golden tests/catalogue

test-framework: setup test-tools ## Only the tests of the bundled framework
	@$(BIN)/python -m pytest -q images/frameworks

test-long: setup engine test-tools ## What does not fit into `make test`
	@$(BIN)/python -m pytest -m long

lint: setup ## Style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/unit/test_layers.py

format: setup ## Rewrite the code in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

golden: setup ## Rewrite the golden cases; read the diff before you commit it
	@$(BIN)/python -m pytest -q tests/golden --update-golden

bench: setup engine bench-tools ## Measure against the baselines of the same run (make bench ONLY=noop,help ROUNDS=7)
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH)

bench-docs: setup engine bench-tools # the same, and docs/performance.md with its pictures from it
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(BENCH) \
		--markdown docs/performance.md --json docs/performance.json --pictures docs/images

bench-compare: setup engine bench-tools ## Compare this tree with another commit, in turns (make bench-compare BASE=HEAD~1)
	@test -n "$(BASE)" || { echo "say with which commit: make bench-compare BASE=HEAD~1" >&2; exit 2; }
	@$(BIN)/python -m bench.compare $(BASE) $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

report: setup engine host-tools ## Verify a fresh workstation and keep the report of it in docs/verify-report
	@folder=$$(mktemp -d)/example && mkdir "$$folder" && trap '$(BIN)/devbox -C "$$folder" down --volumes --yes' EXIT \
		&& $(BIN)/devbox -C "$$folder" up && $(BIN)/devbox -C "$$folder" verify --report docs/verify-report

constraints: ## Pin the dependencies anew, with hashes
	@.ci/python-venv $(PYTHON) .cache/pin
	@.cache/pin/bin/python -m pip install --quiet pip-tools
	@.cache/pin/bin/pip-compile --quiet --upgrade --extra dev --all-build-deps --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --output-file constraints.txt pyproject.toml

clean: ## Remove what make made here (the engine and its images stay)
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

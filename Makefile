# `make help` lists what is supported.
SHELL := /bin/sh
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
export DEBIAN_FRONTEND := noninteractive

# Root can start a second engine, and then half of the tests run there.
TEST_ENGINES = $(if $(filter 0,$(shell id -u)),test-here test-there,test-one)

.DEFAULT_GOAL := help
.PHONY: help setup engine engine-26 engine-26-stop up test test-fast test-framework test-apart test-first test-one test-here test-there test-engine-26 test-long lint format golden docs docs-reference bench bench-docs bench-compare report pictures reliability constraints host-tools bench-tools test-tools podman-tools clean

help: ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 16

setup: $(VENV)/.ready ## Make the virtual environment and install devbox into it (.venv/bin/devbox)

$(VENV)/.ready: pyproject.toml constraints.txt images/frameworks/coditect/pyproject.toml
	@.ci/python-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . --editable images/frameworks/coditect
	@$(BIN)/python -m compileall -q builder images/frameworks/coditect/coditect
	@touch $@

engine: ## Use the container engine that is reachable; else install and start Debian's docker.io
	@.ci/engine

engine-26: setup engine ## Start Engine 26.1 of Debian 13 beside it, for tests; takes root
	@$(BIN)/python -m tests.engine.engine_26 start

engine-26-stop: setup ## End it; its images stay
	@$(BIN)/python -m tests.engine.engine_26 stop

host-tools: # what a machine without an image registry needs to make a base image
	@command -v mmdebstrap >/dev/null || command -v debootstrap >/dev/null || .ci/apt-install mmdebstrap

bench-tools: host-tools # and the baselines of the bench: a base by debootstrap, an archive packed as people pack it
	@command -v debootstrap >/dev/null || .ci/apt-install debootstrap
	@command -v zstd >/dev/null || .ci/apt-install zstd

test-tools: host-tools # what the tests need besides Python: a browser, backups, an SSH server
	@command -v chromium >/dev/null || .ci/apt-install chromium
	@command -v restic >/dev/null || .ci/apt-install restic
	@command -v /usr/sbin/sshd >/dev/null || .ci/apt-install openssh-server

podman-tools: # what the long tests need besides
	@command -v podman >/dev/null || .ci/apt-install podman netavark aardvark-dns

up: setup engine host-tools ## From a clean clone to a running desktop
	@$(BIN)/devbox up

test: $(VENV)/.docs engine test-tools ## Run every test but the long ones; sets up all that it needs (two engines as root)
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint test-apart test-first
	@$(MAKE) --no-print-directory --jobs=2 $(TEST_ENGINES)

test-apart: $(VENV)/.docs test-tools # every test that needs no engine
	@$(BIN)/python -m pytest -q --numprocesses auto --ignore=tests/engine

test-first: setup engine test-tools # from nothing to a desktop: mostly waits for downloads, and fills the builders' caches
	@$(BIN)/python -m pytest -q tests/engine/test_up.py -k test_up_in_an_empty_folder

test-one: setup engine test-tools # every test of the engine, on the one that is there
	@$(BIN)/python -m pytest tests/engine

# Two that talk at once do it by whole lines. make itself would hold back all that they say until they have ended.
test-here test-there: SHELL := /bin/bash
test-here test-there: .SHELLFLAGS := -o pipefail -c
BY_LINES = | sed --unbuffered ""

test-here: setup engine test-tools # the half that runs on the engine that is there
	@$(BIN)/python -m pytest tests/engine --durations=12 -m "not long and not engine_26" $(BY_LINES)

test-there: setup engine-26 test-tools # the half that runs on Engine 26.1
	@DEVBOX_TEST_CACHE=.cache/engine-26 DOCKER_HOST=$$($(BIN)/python -m tests.engine.engine_26 address) \
		$(BIN)/python -m pytest tests/engine --durations=12 -m "not long and (engines or engine_26)" $(BY_LINES)

test-fast: setup ## Only the tests that need no engine
	@$(BIN)/python -m pytest -q --numprocesses auto tests/unit tests/golden tests/catalogue

test-framework: setup test-tools ## Only the tests of the bundled framework
	@$(BIN)/python -m pytest -q images/frameworks

test-engine-26: setup engine-26 test-tools ## Every test of the engine, on Engine 26.1
	@DOCKER_HOST=$$($(BIN)/python -m tests.engine.engine_26 address) $(BIN)/python -m pytest tests/engine

test-long: setup engine test-tools podman-tools test-engine-26 ## What does not fit into `make test`
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

docs: $(VENV)/.docs ## Make the documentation as a site, in site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

docs-reference: setup ## Write docs/reference anew, from the code
	@$(BIN)/python -m docsite

$(VENV)/.docs: $(VENV)/.ready constraints-docs.txt # not part of setup: it would take a third longer
	@$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints-docs.txt
	@touch $@

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

pictures: setup engine host-tools ## Take the pictures of the desktop in the docs from a fresh workstation
	@$(BIN)/python -m bench.pictures docs/images

reliability: setup engine test-tools ## Make every fault of the table, and docs/reliability.md from what came of it
	@$(BIN)/python -m pytest -q -m "" tests/engine/faults --reliability

constraints: ## Pin the dependencies anew, with hashes
	@.ci/python-venv $(PYTHON) .cache/pin
	@.cache/pin/bin/python -m pip install --quiet pip-tools
	@.cache/pin/bin/pip-compile --quiet --upgrade --extra dev --all-build-deps --allow-unsafe --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --output-file constraints.txt pyproject.toml
	@sed -n 's/^docs = \["\(.*\)"\]/\1/p' pyproject.toml | .cache/pin/bin/pip-compile --quiet --upgrade --constraint constraints.txt --allow-unsafe --generate-hashes --strip-extras --no-annotate --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --output-file constraints-docs.txt -

clean: ## Remove what make made here (the engine and its images stay)
	@rm -rf $(VENV) site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis

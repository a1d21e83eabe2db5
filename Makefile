# Needs GNU make, git and Python 3.11 or newer. Everything else is fetched and built here.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
TESTBED := $(BIN)/python -m tests.testbed
STAMP := .venv/.synced
# uv of the PATH where it works (a shim may name a version that is not there), else one of our own in .testbed/uv.
export UV := $(or $(shell uv --version >/dev/null 2>&1 && command -v uv),$(CURDIR)/.testbed/uv/bin/uv)

define CHECK_PYTHON
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "[aiqms] $(PYTHON) is not Python 3.11 or newer: name another, as in make PYTHON=python3.12 test" >&2; exit 1; }
endef

.PHONY: help demo test test-full test-node attacks faults bench mutation mutation-gate lint unit e2e env down lock generate build-testbed

help: ## Show what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/; s/\$$\$$/$$/' | expand -t 22

demo: $(STAMP) ## Tell the story on a real cluster, and leave it running
	@$(BIN)/python -m tests.testbed.demo

# In two processes: one has the cluster and waits most of the time, the other one all the rest (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses 2

test: lint ## Check everything: style, types, layers, chart, unit tests, tests on a real cluster
	@$(BIN)/pytest $(SIDE_BY_SIDE)

test-full: lint ## Check everything, also what takes long: 200 seeds of faults, servers that have to be built
	@$(BIN)/pytest $(SIDE_BY_SIDE) -m "not node"

attacks: $(STAMP) ## Try every attack on the gate, and print what came of each group, and without which policy it gets through
	@$(BIN)/pytest tests/e2e/test_bypass.py

faults: $(STAMP) ## Break programs and networks at random while people work, by seeds: make faults SEEDS=1-50
	@$(BIN)/python -m tests.chaos $(or $(SEEDS),1-10)

bench: $(STAMP) ## Measure what it costs, and write docs/performance.md
	@$(BIN)/python -m bench

mutation: $(STAMP) ## Change what decides in one place at a time, and list what no unit test notices
	@$(BIN)/python -m tests.mutation --minutes $(or $(MINUTES),30)

mutation-gate: $(STAMP) ## Drop each clause of the gate's policies in turn, and list what the bypass table does not notice
	@$(BIN)/python -m tests.mutation.gate $(POLICY)

lint: $(STAMP) ## Check style, types, layers and chart
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(TESTBED) helm lint --strict --namespace aiqms-system charts/aiqms

unit: $(STAMP) ## Run the tests that need no cluster
	@$(BIN)/pytest tests/unit

e2e: $(STAMP) ## Run the tests on a real cluster
	@$(BIN)/pytest tests/e2e

# In namespaces of its own: network rules, mounts and processes end with it.
test-node: $(STAMP) ## Run the tests on a real node whose network enforces NetworkPolicies: Linux, root, Debian's packages
	@$(TESTBED) build && $(TESTBED) build kubelet kube-proxy kube-router
	@unshare --net --mount --pid --fork --kill-child --mount-proc $(BIN)/pytest -m node tests/e2e/test_real_node.py

env: $(STAMP) ## Print the shell lines to use the demo's cluster: eval "$$(make -s env)"
	@$(TESTBED) env

down: $(STAMP) ## Stop the demo's cluster, and remove its state
	@$(TESTBED) down

build-testbed: $(STAMP) ## Build the cluster's programs, which happens once
	@$(TESTBED) build

generate: $(STAMP) ## Write what is generated from the models: CRDs, reference, policies
	$(BIN)/python -m aiqms.api.crds crds
	$(BIN)/python -m aiqms.api.crds charts/aiqms/crds
	$(BIN)/python -m aiqms.api.reference docs/reference.md
	$(BIN)/python -m aiqms.gate.render charts/aiqms/templates/policies

lock: $(UV) ## Pin the dependencies of pyproject.toml in requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --universal --generate-hashes --no-emit-index-url --extra operator --group dev --quiet --output-file requirements.lock pyproject.toml >/dev/null

# Redone only when the lock or the project's own metadata changes.
$(STAMP): requirements.lock pyproject.toml | $(UV)
	@echo "[aiqms] installing the locked dependencies into .venv" >&2
	$(CHECK_PYTHON)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --require-hashes requirements.lock
	@$(UV) pip install --quiet --no-deps --editable .
	@touch $@

$(CURDIR)/.testbed/uv/bin/uv:
	$(CHECK_PYTHON)
	@echo "[aiqms] installing uv into .testbed/uv" >&2
	@if $(PYTHON) -m pip --version >/dev/null 2>&1; then $(PYTHON) -m pip install --quiet --root-user-action ignore --target .testbed/uv uv; \
	else $(PYTHON) -m venv .testbed/uv && .testbed/uv/bin/python -m pip install --quiet uv; fi

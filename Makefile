# Everything starts here. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
APPLICATIONS ?= 200
# Processes that share the tests; a file stays in one of them.
JOBS ?= 2
PILGRIMS ?= 3000

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.runtime: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary lxml -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the tools for tests (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary lxml,xmlsec -r requirements-dev.lock
	@touch $@

.PHONY: setup
setup: $(VENV)/.dev ## virtual environment with everything locked

.PHONY: demo
demo: $(VENV)/.runtime ## the main job, whole: simulators, gateway, a batch, its visas
	@$(BIN)/python run_gateway.py demo --applications $(APPLICATIONS)

.PHONY: season
season: $(VENV)/.runtime ## every flow of the network, a season in miniature, and its proof
	@$(BIN)/python run_gateway.py season --pilgrims $(PILGRIMS)

.PHONY: test
test: $(VENV)/.dev ## all tests
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: check
check: $(VENV)/.dev ## format, lint, types, import rules, dependencies, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python run_gateway.py check-config
	@$(BIN)/python -m supply.sbom --check
	@$(BIN)/python -m supply.audit
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

.PHONY: format
format: $(VENV)/.dev ## put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: survive
survive: $(VENV)/.dev ## the kill test at length: 200 kills (writes benchmarks/survive.json)
	@$(BIN)/python -m benchmarks.survive --kills 200

.PHONY: canary
canary: $(VENV)/.dev ## who gets which field, proved over a whole season (writes the table of docs/need-to-know.md)
	@$(BIN)/python -m benchmarks.canary

.PHONY: bench
bench: $(VENV)/.dev ## the measurements of the README, on this machine (writes benchmarks/latest.json)
	@$(BIN)/python -m benchmarks.measure

FUZZ ?= 2000

.PHONY: hostile
hostile: $(VENV)/.dev ## hostile inputs, row by row, then FUZZ=2000 by chance (writes docs/hostile-inputs.md)
	@$(BIN)/python -m benchmarks.hostile --fuzz $(FUZZ)

.PHONY: sbom
sbom: $(VENV)/.dev ## what a gateway is made of, from the lock (writes sbom.cdx.json, CycloneDX)
	@$(BIN)/python -m supply.sbom

.PHONY: audit-dependencies
audit-dependencies: $(VENV)/.dev ## is any locked version in an advisory? (docs/supply-chain.md)
	@$(BIN)/python -m supply.audit

.PHONY: lock
lock: ## resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --extra dev pyproject.toml -o requirements-dev.lock

# What some tests use beside Python; without it they skip. A program and its package, or a package alone.
SERVICES := rabbitmq-server=rabbitmq-server psql=postgresql php=php-cli php-soap libsoap-lite-perl node=nodejs npm=npm javac=default-jdk-headless wsimport=jaxws \
	gsoap libgsoap-dev g++ libssl-dev xmlsec1=xmlsec1 libwss4j-java

.PHONY: services
services: ## what some tests use beside Python, with apt (as root or with sudo) and npm
	@sh .ci/services $(SERVICES)

.PHONY: interop
interop: $(VENV)/.dev ## tries SOAP stacks that others wrote and writes docs/interop.md
	@$(BIN)/python -m tests.interop.matrix

.PHONY: clean
clean: ## remove what was built
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

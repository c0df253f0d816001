# Everything starts here. `make help` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What `make bench` compares with: libraries that the gateway does not use.
BENCH  := .venv-bench
APPLICATIONS ?= 200
# Processes that share the tests; a file stays in one of them. Many tests wait for others' processes.
JOBS ?= 4
PILGRIMS ?= 3000
# Of the comparison in `make bench`.
ROUNDS ?= 5
# Images of containers often forbid it. Hundreds of processes start in the tests: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

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

$(BENCH)/.installed: requirements-bench.lock
	@test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	@echo "installing the libraries that the benchmark compares with (once)"
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary lxml -r requirements-bench.lock
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
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: check
check: $(VENV)/.dev ## format, lint, types, import rules, dependencies, tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python run_gateway.py check-config
	@$(BIN)/python -m supply.sbom --check
	@$(BIN)/python -m supply.audit
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: format
format: $(VENV)/.dev ## put the code in order
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: survive
survive: $(VENV)/.dev ## every fault, both engines, some of each (writes benchmarks/survive.json)
	@$(BIN)/python -m benchmarks.survive --short --minutes 10

.PHONY: survive-long
survive-long: $(VENV)/.dev ## the same with many of each: hours
	@$(BIN)/python -m benchmarks.survive --long

SEEDS ?= 2000

.PHONY: simulation
simulation: $(VENV)/.dev ## SEEDS=2000 simulated runs under faults: kills, freezes, wrong clocks, lost answers
	@$(BIN)/python -m benchmarks.simulate_seeds --seeds $(SEEDS)

.PHONY: canary
canary: $(VENV)/.dev ## who gets which field, proved over a whole season (writes the table of docs/need-to-know.md)
	@$(BIN)/python -m benchmarks.canary

.PHONY: bench
bench: $(VENV)/.dev $(BENCH)/.installed ## measured here, beside what others would build: 17 minutes (benchmarks/latest.json)
	@$(BIN)/python -m benchmarks.measure
	@$(BIN)/python -m benchmarks.bench --rounds $(ROUNDS)
	@$(BIN)/python -m benchmarks.season_plan

.PHONY: growth
growth: $(VENV)/.dev ## with a million messages in the ledger beside an empty one (the first run makes it: minutes)
	@$(BIN)/python -m benchmarks.growth

.PHONY: large-and-small
large-and-small: $(VENV)/.dev ## a batch of 100,000, 10,000 of ten, 500 centers at once, one at idle
	@$(BIN)/python -m benchmarks.large_and_small

.PHONY: profile
profile: $(VENV)/.dev ## where the processor's time goes, stage by stage (docs/performance.md)
	@$(BIN)/python -m benchmarks.profile 4000

.PHONY: season-plan
season-plan: $(VENV)/.dev ## how large it must be for a season: measures storage, writes docs/season-plan.md
	@$(BIN)/python -m benchmarks.season_plan --measure

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
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --extra tracing pyproject.toml -o requirements-tracing.lock
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header benchmarks/requirements-bench.in -o requirements-bench.lock

# What some tests use beside Python; without it they skip. A program and its package, or a package alone.
SERVICES := rabbitmq-server=rabbitmq-server psql=postgresql fiu-run=fiu-utils promtool=prometheus php=php-cli php-soap libsoap-lite-perl node=nodejs npm=npm javac=default-jdk-headless wsimport=jaxws \
	gsoap libgsoap-dev g++ libssl-dev xmlsec1=xmlsec1 libwss4j-java

.PHONY: services
services: ## what some tests use beside Python, with apt (as root or with sudo) and npm
	@sh .ci/services $(SERVICES)

.PHONY: interop
interop: $(VENV)/.dev ## tries SOAP stacks that others wrote and writes docs/interop.md
	@$(BIN)/python -m tests.interop.matrix

.PHONY: clean
clean: ## remove what was built
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis

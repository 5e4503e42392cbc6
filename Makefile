# `make` alone says what there is. Nothing here names a package index: pip obeys the machine's own settings.
PYTHON ?= python3
BIN := .venv/bin
SEEDS ?= 1000
FIRST ?= 0
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint docs site simulate bench bench-fleet dist clean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: .venv/runtime ## Break a practice cluster and recover it: the sixty-second tour
	$(BIN)/runbook demo

# Each worker, and each of the many processes that tests start, would else compile all that it loads.
test: .venv/dev ## Run every test that this machine can run (ARGS="-k quorum" for some, ARGS="-n 0" in one process)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxschedchunk 1 $(ARGS)

check: lint test ## Everything a change must pass: format, lint, types, tests

lint: .venv/dev ## Formatting, lint and types, without the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: .venv/dev ## Write anew what docs show of the program: every step, every verb, the pictures
	$(BIN)/python -m runbook.cli.catalog > docs/playbook-reference.md
	$(BIN)/python -m runbook.cli.reference > docs/command-line.md
	$(BIN)/python -m tests.report.pictures

site: .venv/docs ## Build the documentation as a site into build/site, which needs no network to be read
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

simulate: .venv/dev ## Play incidents against the safety invariants on every core (SEEDS=10000, FIRST=0)
	SEEDS=$(SEEDS) FIRST=$(FIRST) $(BIN)/python -m tests.simulation.simulate

bench: .venv/dev ## Measure start-up, a whole recovery and one look, as ratios in one run
	$(BIN)/python -m benchmarks.bench

bench-fleet: .venv/dev ## Measure checks of 1,000 and 10,000 clusters, here and by workers over Redis (12 minutes)
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.fleet_workers

dist: .venv/dist ## Build into dist/ what is published: wheel, source archive, runbook.pyz, and the SBOM of that
	$(BIN)/python -m release.dist

clean: ## Remove everything that make made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find runbook tests benchmarks release -type d -name __pycache__ -prune -exec rm -rf {} +

# These files are stamps: what they stand for is done once, and again when pyproject.toml changes. The demo needs no
# development tools, so in an incident none are downloaded.
.venv/runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "runbook needs Python 3.10 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) install --editable .
	@touch $@

.venv/dev: .venv/runtime
	$(PIP) install --editable '.[dev]'
	@touch $@

.venv/dist: .venv/dev
	$(PIP) install --editable '.[dist]'
	@touch $@

.venv/docs: .venv/dev
	$(PIP) install --editable '.[docs]'
	@touch $@

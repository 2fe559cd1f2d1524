# medlock: every target makes its own environment first; Python 3.11+, make and a package registry suffice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
RUNNING := $(VENV)/.running

.PHONY: demo test peers mutants check format bench lock definitions clean help

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(BIN)/uv: locks/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "medlock needs Python 3.11 or newer: run make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@touch $@

$(READY): $(BIN)/uv locks/dev.txt locks/definitions.txt pyproject.toml
	@sh scripts/install.sh $(BIN) -r locks/dev.txt
	@sh scripts/install.sh $(BIN) --no-deps -r locks/definitions.txt
	@touch $@ $(RUNNING)

# What it takes to run medlock: a tenth of what it takes to develop it.
$(RUNNING): $(BIN)/uv locks/runtime.txt locks/build.txt pyproject.toml
	@sh scripts/install.sh $(BIN) -r locks/runtime.txt -r locks/build.txt
	@touch $@

demo: $(RUNNING) ## a synthetic clinic on https://localhost:8443
	@$(BIN)/medlock demo $(DEMO)

test: $(READY) ## the whole test suite
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(TEST)

$(PEERS)/.ready: $(BIN)/uv locks/peers.txt pyproject.toml
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@sh scripts/install.sh $(PEERS)/bin -r locks/peers.txt -r locks/build.txt
	@touch $@

peers: $(PEERS)/.ready ## compare tables with pycanon and Spark (Java), which pin packages of their own
	@$(PEERS)/bin/python -m pytest -q -p no:cacheprovider -p no:anyio tests/deid_tabular/test_elsewhere.py \
		tests/deid_tabular/test_measures.py -k "spark or pycanon" -rs

mutants: $(READY) ## change what decides in one place at a time: does a test notice? JSON on stdout
	@nice $(BIN)/python scripts/mutants.py $(MUTANTS)

check: $(READY) ## format, lint, types, import layers, shape
	@$(BIN)/ruff format --check src tests scripts benchmarks
	@$(BIN)/ruff check src tests scripts benchmarks
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/shape.py

format: $(READY) ## format and fix what the linter can fix
	@$(BIN)/ruff format src tests scripts benchmarks
	@$(BIN)/ruff check --fix-only --exit-zero src tests scripts benchmarks

bench: $(READY) ## speed and memory, JSON on stdout
	@$(BIN)/python benchmarks/run.py $(BENCH)

definitions: $(READY) ## distil the FHIR R4 definitions and the lexicon again
	@$(BIN)/python scripts/distill_structures.py
	@$(BIN)/python scripts/distill_search.py
	@$(BIN)/python scripts/distill_terms.py
	@$(BIN)/python scripts/text_lexicon.py

lock: $(READY) ## renew the lock files
	@sh scripts/lock.sh $(BIN)

clean:
	rm -rf $(VENV) $(PEERS) demo-data* .mypy_cache .ruff_cache

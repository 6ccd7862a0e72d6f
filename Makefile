# Needs make, git and Python >= 3.11; the rest is fetched into .venv/ (and .uv/, if uv is missing).
.DEFAULT_GOAL := help
.PHONY: help demo up cluster bench bench-short bench-kafka test test-slow test-cluster test-all soak check format docs requirements clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -p tests.noskip
READY := .venv/.ready
COMPILE := sh tools/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
	--python-version 3.11

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "make %-14s%s\n", $$1, $$2 }'

demo: $(READY) ## play a minute of payments with failing processors, then reconcile (ARGS=…)
	$(BIN)/voltpay demo $(ARGS)

up: $(READY) ## run Voltpay with its own engines, until Ctrl-C (ARGS=…)
	$(BIN)/voltpay up $(ARGS)

cluster: $(READY) ## run a profile of deploy/compose.yaml as plain processes (PROFILE=small, full or wide)
	PYTHONPATH=deploy $(BIN)/python -m loopback --profile $(or $(PROFILE),small) $(ARGS)

bench: $(READY) ## measure this machine, Voltpay beside a bare loop, at length (ARGS=…)
	$(BIN)/voltpay bench --bare benchmarks/bare.py --fill benchmarks/fill.py --payments 10000000 \
		--long --minutes 10 --json bench.json $(ARGS)

bench-short: $(READY) ## the same with less of each: two minutes (ARGS=…)
	$(BIN)/voltpay bench --bare benchmarks/bare.py --seconds 2 --rounds 1 --backlog 10000 \
		--json bench.json $(ARGS)

bench-kafka: $(READY) ## the log on three brokers of Kafka beside one on Redis, and how cost grows (ARGS=…)
	PYTHONPATH=deploy $(BIN)/python benchmarks/on_kafka.py -- --backlog 20000 --growth --json bench-kafka.json $(ARGS)

test: $(READY) ## run the short set of tests (ARGS=…)
	$(PYTEST) -m "not slow and not cluster" $(ARGS)

test-slow: $(READY) ## run the tests that the short set leaves out
	$(PYTEST) -m "slow and not cluster" $(ARGS) || test $$? -eq 5 # 5: there are none

test-cluster: $(READY) ## deploy/compose.yaml's profile full: 100,000 payments while everything dies, a newer release
	$(PYTEST) -m cluster $(ARGS)

test-all: $(READY) ## run all tests
	$(PYTEST) $(ARGS)

soak: $(READY) ## draw load and faults from SEED=… for MINUTES=…, heal, drain, check
	$(BIN)/python -m tests.faults.soak --seed $(or $(SEED),1) --minutes $(or $(MINUTES),1)

check: $(READY) ## format, lint, types, imports, the image's file, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/Dockerfile
	$(PYTEST) tests/house

format: $(READY) ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write anew what of docs/ is made from the code: errors.md
	$(BIN)/voltpay errors --markdown > docs/errors.md

requirements: ## pin the dependencies anew, with hashes, for every platform
	$(COMPILE) --upgrade pyproject.toml --all-extras -o requirements.txt
	$(COMPILE) --upgrade pyproject.toml --all-extras --group dev -c requirements.txt -o requirements-dev.txt
	$(COMPILE) --upgrade requirements-build.in -o requirements-build.txt

clean: ## remove what was fetched and what tools left behind
	rm -rf .venv .uv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): requirements-dev.txt requirements-build.txt pyproject.toml
	@sh tools/install
	@touch $(READY)

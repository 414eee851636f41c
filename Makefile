# Every target does all of its own set-up. `make help` lists them.
.DEFAULT_GOAL := help
BIN := .venv/bin
.PHONY: help setup demo test test-fast crash fuzz kinds check bench corpus docs format lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Make .venv with everything for development
	@scripts/setup-venv dev

demo: ## Take a broken release back, code and clients live, on this machine (under a minute)
	@scripts/setup-venv demo
	@$(BIN)/backout demo

test: ## Everything, on real services; installs what it needs (leave out: BACKOUT_SKIP=prometheus,...)
	@scripts/test-setup
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -n auto -m "not slow"
	@scripts/test-slow

test-fast: setup ## What needs no service and less than a second for each test
	@$(BIN)/pytest -n auto -m "not slow"

crash: setup ## Kill -9 everywhere inside a run, resume, compare: N of N
	@BACKOUT_CRASH_RANDOM=$${BACKOUT_CRASH_RANDOM:-50} $(BIN)/pytest -m crash -s

fuzz: setup ## Migrations by chance, there and back, for SECONDS (3600) from a new seed (one again: SEED=… COUNT=1)
	@$(BIN)/python -m tests.services.reversible.property.fuzz --seconds $(or $(SECONDS),3600) $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(VERSION),--version $(VERSION))

kinds: setup ## The way back of migrations on both servers, every kind in every way, an hour; `make test` asks by turns
	@BACKOUT_ALL_KINDS=1 $(BIN)/pytest -n auto -m slow tests/services/reversible tests/services/inverse

check: setup ## Format, lint, types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## Every bench, about a quarter of an hour; figures and conditions go to bench/results.json
	@$(BIN)/python bench/all.py

corpus: setup ## Migrations of public packages there and back, for hours; figures go to docs/reversibility.md (some: PROJECT=… EVERY=10 JOBS=2)
	@$(BIN)/python -m tests.corpus --write --every $(or $(EVERY),1) --jobs $(or $(JOBS),2) $(if $(PROJECT),--project "$(PROJECT)")

docs: setup ## Make the generated reference anew, then test the documentation
	@$(BIN)/python -m backout.config.schema > docs/reference/backout.schema.json.new
	@mv docs/reference/backout.schema.json.new docs/reference/backout.schema.json
	@$(BIN)/python scripts/docs-reference
	@$(BIN)/pytest -n auto $(wildcard tests/docs) tests/unit/config/test_schema.py

format: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## Make the lock files anew (needs uv; newest versions: make lock UPGRADE=--upgrade)
	@scripts/lock $(UPGRADE)

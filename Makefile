# Needs Python 3.11 or later, git and make; everything else goes into .venv.
.POSIX:
.SUFFIXES:
.PHONY: sandbox test test-slow lint bench bench-full clean

DIR = sandbox
BIN = .venv/bin
SPEC = ../shared/spec
DEFINITIONS = $(SPEC)/packages/hl7.fhir.r4.core-4.0.1.tgz $(SPEC)/packages/hl7.fhir.us.core-6.1.0.tgz \
	--expansions $(SPEC)/expansions/us-core-6.1.0.json $(SPEC)/expansions/us-core-6.1.0-fallback.json \
	$(SPEC)/expansions/r4-required.json
CODE = toro_core facade/toro_facade plugins/toro_ndjson plugins/toro_postgres plugins/toro_sqlite tools tests bench

sandbox: .venv/run.stamp
	$(BIN)/toro sandbox "$(DIR)"

test: .venv/dev.stamp
	$(BIN)/pytest -q -m "not slow" -n auto --dist loadfile

test-slow: .venv/dev.stamp
	$(BIN)/pytest -q -m slow

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/python tools/breaking.py
	$(BIN)/python tools/generate.py --check
	$(BIN)/python tools/config_docs.py --check
	@if [ -d $(SPEC) ]; then $(BIN)/python tools/definitions.py --check $(DEFINITIONS); \
	else echo "definitions: no packages to compare with"; fi

bench: .venv/dev.stamp
	$(BIN)/python bench/run.py

bench-full: .venv/dev.stamp
	$(BIN)/python bench/run.py --full

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@for python in "$${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  echo "$$python -m venv .venv"; \
	  if "$$python" -m venv .venv; then exit 0; fi; \
	  rm -rf .venv; \
	done; \
	echo "Toro needs Python 3.11 or later with its venv module; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1

.venv/run.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[xml]'
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/run.stamp

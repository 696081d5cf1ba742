# The targets for people and for CI. Each sets up what it needs, once.

comma := ,
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VSCODE := clients/vscode
# `prebuilt`: llama.cpp from a wheel; `native`: compiled here, for this processor or GPU (minutes).
LLAMA ?= prebuilt
EXTRAS := llama,analysis$(if $(filter native,$(LLAMA)),$(comma)llama-native)

.DEFAULT_GOAL := help
.PHONY: help setup demo check test lint typecheck fix schemas vscode dist soak bench eval clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## create the virtual environment with all dependencies; `LLAMA=native` compiles llama.cpp for this machine (minutes)

$(STAMP): pyproject.toml setup.py constraints.txt daemon/analystd/data/text/_records.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --progress-bar off --constraint constraints.txt --editable '.[$(EXTRAS)]' --group dev
	touch $@

demo: $(STAMP) ## run an analyst's workflow on a year of one-minute bars, and ask the local model about them
	$(BIN)/analystd model pull
	$(BIN)/analystd demo

check: lint typecheck ## run lint, types and the fast tests, in about a minute; for use while you work
	$(BIN)/python -m pytest -q -m "not slow" --timeout 10

test: $(STAMP) $(VSCODE)/node_modules/.installed ## run all tests: daemon, command line, real editor
	cd $(VSCODE) && npm run --silent test
	$(BIN)/python -m pytest

lint: $(STAMP) $(VSCODE)/node_modules/.installed ## run ruff and eslint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	cd $(VSCODE) && npm run --silent lint

typecheck: $(STAMP) $(VSCODE)/node_modules/.installed ## run mypy and tsc, both strict
	$(BIN)/mypy
	cd $(VSCODE) && npm run --silent typecheck

fix: $(STAMP) $(VSCODE)/node_modules/.installed ## apply the fixes that ruff and prettier can make
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cd $(VSCODE) && npm run --silent fix

schemas: $(STAMP) ## regenerate docs/schema, the Python client's records and the extension's types from the wire's declarations
	$(BIN)/python -m analystd.wire.export

vscode: $(VSCODE)/node_modules/.installed ## build the VS Code extension (.vsix)
	cd $(VSCODE) && npm run --silent package

# The archives get the time of the commit, and `build` installs its tools in the versions of constraints.txt.
dist: export SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),315619200)
dist: export PIP_CONSTRAINT = $(CURDIR)/constraints.txt
dist: export TZ = UTC
dist: $(STAMP) $(VSCODE)/node_modules/.installed ## build wheel, source archive and .vsix in dist/, reproducibly from one commit
	$(BIN)/python -m pip install --quiet --group dist
	rm -rf dist build
	umask 022 && $(BIN)/python -m build --outdir dist
	umask 022 && cd $(VSCODE) && npm run --silent package -- --out $(CURDIR)/dist/
	cd dist && sha256sum *

$(VSCODE)/node_modules/.installed: $(VSCODE)/package.json $(VSCODE)/package-lock.json
	cd $(VSCODE) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

soak: $(STAMP) ## run the soak tests: kill processes, load the daemon, take kernels over, leave hostile work running (minutes)
	ANALYSTD_SOAK_SECONDS=300 $(BIN)/python -m pytest -s tests/soak

bench: $(STAMP) ## measure speed, side by side with peers (minutes; needs a quiet machine)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	for script in data mind sessions; do $(BIN)/python bench/$$script.py || exit 1; done

eval: $(STAMP) $(VENV)/.exam ## ask the agent questions whose answers are known (hours); `EVAL="--model … --every 5"`, `EVAL=--help`, `EVAL=--short`
	$(BIN)/python -m bench.answers $(EVAL)

$(VENV)/.exam: pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --constraint constraints.txt --target $(VENV)/exam --group exam
	touch $@

clean: ## remove what was built (not your models, logs or workspaces)
	rm -rf $(VENV) $(VSCODE)/node_modules $(VSCODE)/e2e/node_modules $(VSCODE)/out $(VSCODE)/*.vsix build dist

# The verbs of this repository, for people and for CI alike. Each sets up what it needs, once.

comma := ,
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VSCODE := clients/vscode
# `prebuilt`: llama.cpp comes in a wheel; `native`: it is compiled here, for this very processor or GPU (minutes).
LLAMA ?= prebuilt
EXTRAS := llama,analysis$(if $(filter native,$(LLAMA)),$(comma)llama-native)

.DEFAULT_GOAL := help
.PHONY: help setup demo check test lint typecheck fix schemas vscode dist soak bench eval clean

help: ## tell what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make the virtual environment with everything in it; `LLAMA=native` compiles llama.cpp for this machine (minutes)

$(STAMP): pyproject.toml setup.py constraints.txt daemon/analystd/data/text/_records.c
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --progress-bar off --constraint constraints.txt --editable '.[$(EXTRAS)]' --group dev
	touch $@

demo: $(STAMP) ## a year of one-minute bars, the analyst's workflow, a question to the local model
	$(BIN)/analystd model pull
	$(BIN)/analystd demo

check: lint typecheck ## lint, types and the fast tests, in about a minute; for while you work
	$(BIN)/python -m pytest -q -m "not slow" --timeout 10

test: $(STAMP) $(VSCODE)/node_modules/.installed ## all tests: daemon, command line, real editor
	cd $(VSCODE) && npm run --silent test
	$(BIN)/python -m pytest

lint: $(STAMP) $(VSCODE)/node_modules/.installed ## ruff and eslint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	cd $(VSCODE) && npm run --silent lint

typecheck: $(STAMP) $(VSCODE)/node_modules/.installed ## mypy and tsc, both strict
	$(BIN)/mypy
	cd $(VSCODE) && npm run --silent typecheck

fix: $(STAMP) $(VSCODE)/node_modules/.installed ## what ruff and prettier can mend by themselves
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cd $(VSCODE) && npm run --silent fix

schemas: $(STAMP) ## write what is made of the wire's declarations anew: docs/schema, the Python client's records, the extension's types
	$(BIN)/python -m analystd.wire.export

vscode: $(VSCODE)/node_modules/.installed ## build the VS Code extension (.vsix)
	cd $(VSCODE) && npm run --silent package

# The time of the commit stands in the archives, and `build` installs what it builds with as constraints.txt has it.
dist: export SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),315619200)
dist: export PIP_CONSTRAINT = $(CURDIR)/constraints.txt
dist: export TZ = UTC
dist: $(STAMP) $(VSCODE)/node_modules/.installed ## wheel, source archive and .vsix in dist/, the same bytes each time from one commit
	$(BIN)/python -m pip install --quiet --group dist
	rm -rf dist build
	umask 022 && $(BIN)/python -m build --outdir dist
	umask 022 && cd $(VSCODE) && npm run --silent package -- --out $(CURDIR)/dist/
	cd dist && sha256sum *

$(VSCODE)/node_modules/.installed: $(VSCODE)/package.json $(VSCODE)/package-lock.json
	cd $(VSCODE) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

soak: $(STAMP) ## kill whatever can be killed for five minutes, load the daemon, take kernels over, leave hostile work running
	ANALYSTD_SOAK_SECONDS=300 $(BIN)/python -m pytest -s tests/soak

bench: $(STAMP) ## measure, side by side with peers (minutes; wants a quiet machine)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	for script in data mind sessions; do $(BIN)/python bench/$$script.py || exit 1; done

eval: $(STAMP) $(VENV)/.exam ## ask the agent questions whose answers are known (hours); `EVAL="--model … --every 5"`, `EVAL=--help`, `EVAL=--short`
	$(BIN)/python -m bench.answers $(EVAL)

$(VENV)/.exam: pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --constraint constraints.txt --target $(VENV)/exam --group exam
	touch $@

clean: ## remove what was built (not your models, logs or workspaces)
	rm -rf $(VENV) $(VSCODE)/node_modules $(VSCODE)/e2e/node_modules $(VSCODE)/out $(VSCODE)/*.vsix build dist

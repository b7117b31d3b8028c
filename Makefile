# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# Everything is installed inside this folder: uv into .tools (if the machine has none), the rest into .venv.

PYTHON  ?= python3
UV      := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
PY      := .venv/bin/python
READY   := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## install everything into .venv

demo: $(READY)  ## draw the tabletop set, train TSN, TSM and TSM+W3, compare them and show where they look
	.venv/bin/w3 demo --out runs/demo

test: $(READY)  ## run the tests
	$(PY) -m pytest -n 2

check: $(READY)  ## format, lint, types, imports
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/pyrefly check
	.venv/bin/lint-imports

format: $(READY)  ## format and mend what can be mended by itself
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

lock: | $(UV)  ## pin the requirements again: names, versions and hashes, no addresses
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --upgrade \
	  --no-header --no-annotate --no-emit-index-url --python-version 3.11 -q -o requirements.txt

clean:  ## remove what was installed here
	rm -rf .venv .tools

$(READY): requirements.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements.txt
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

.tools/uv/bin/uv:
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt

# Two commands on a fresh machine: `make demo` runs the main job, `make test` passes the tests.
# Everything is installed inside this folder: uv into .tools (if the machine has none), the rest into .venv (.lowest for
# the lowest versions).

PYTHON  ?= python3
UV      := $(or $(shell command -v uv 2>/dev/null),.tools/uv/bin/uv)
PY      := .venv/bin/python
READY   := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs wheel test-lowest smoke-lowest study study-gpu bench-gpu lock clean

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

docs: .venv/.docs  ## build the documentation's pages into site/
	.venv/bin/mkdocs build --strict

# Two wheels and the source: one holds the compiled passes, for Linux on x86-64; the other compiles at its first use.
wheel: $(READY)  ## build the packages into dist/
	rm -rf dist build/prebuilt
	$(PY) -m w3action.kernels.native.prebuild build/prebuilt
	W3_PREBUILT=build/prebuilt $(PY) -m hatchling build -t wheel
	$(PY) -m hatchling build

test-lowest: .lowest/.ready  ## run the tests on the lowest versions that pyproject.toml allows
	.lowest/bin/python -m pytest -n 2

smoke-lowest: .lowest/.ready  ## on the lowest versions import everything, train, measure and use a small network
	.lowest/bin/python -m pytest tests/test_systems.py tests/test_cli.py::test_train_eval_predict_explain

# What all rows have in common: they start from a TSM that was trained on another drawn set, as the paper's start from
# ImageNet, and see 980 clips a seed. docs/evidence.md says why.
PIXELS := data.size=64 data.resize=64 mixed_precision=bf16
STUDY := $(PIXELS) model.pretrained=runs/start/model.safetensors optim.lr=0.002 epochs=5 eval_every=5 \
  data.train_fraction=0.35

study: $(READY)  ## run the paper's tables again on the drawn set (hours on 2 cores; goes on where it was cut)
	.venv/bin/w3 data tabletop --out runs/tabletop --num-videos 4000
	.venv/bin/w3 data tabletop --out runs/other --num-videos 4000 --seed 1
	.venv/bin/w3 train demo --data runs/other/manifest.csv --out runs/start --resume --set epochs=6 $(PIXELS)
	.venv/bin/w3 reproduce all --data runs/tabletop/manifest.csv --out runs/study --seeds 5 --set $(STUDY)

# DATA holds hand_motion and hand_in_clutter, WEIGHTS is a MobileNetV2 file.
GPU := --recipe edge --seeds 5 --set model.pretrained=$(WEIGHTS) data.size=128 data.num_workers=8 mixed_precision=bf16

study-gpu: $(READY)  ## the same with MobileNetV2, on real videos too, on a GPU: make study-gpu DATA=... WEIGHTS=...
	$(PY) benchmarks/hand_motion_tracks.py $(DATA)/hand_motion runs/hand_motion.parquet
	.venv/bin/w3 reproduce all --data $(DATA)/hand_motion/xsubject_train.csv \
	  --val $(DATA)/hand_motion/xsubject_val.csv --tracks runs/hand_motion.parquet --out runs/study_hand_motion $(GPU)
	for table in sweep table6 curves; do .venv/bin/w3 reproduce $$table --data $(DATA)/hand_in_clutter/train.csv \
	  --val $(DATA)/hand_in_clutter/val.csv --out runs/study_clutter $(GPU) data.scales=1,0.875 || exit 1; done
	.venv/bin/w3 data tabletop --out runs/tabletop --num-videos 4000
	.venv/bin/w3 reproduce all --data runs/tabletop/manifest.csv --out runs/study_tabletop $(GPU) data.scales=1.0

BENCH := --out runs/bench_gpu
bench-gpu: $(READY)  ## time W3, TSM, training and the kernels on a GPU (not measured yet)
	.venv/bin/w3 bench attention --frames 8 16 --batches 1 16 --bf16 --channels-last $(BENCH)/attention.json
	.venv/bin/w3 bench latency --batches 1 16 $(BENCH)/latency.json
	.venv/bin/w3 bench train --batch 16 --bf16 $(BENCH)/training.json
	$(PY) -m pytest tests/kernels

COMPILE := pip compile --no-header --no-annotate --no-emit-index-url -q
PIN     := $(COMPILE) --universal --generate-hashes --upgrade --python-version 3.11
lock: | $(UV)  ## pin the requirements again: names, versions and hashes, no addresses
	$(UV) $(PIN) pyproject.toml --group dev -o requirements.txt
	$(UV) $(PIN) --group docs -c requirements.txt -o requirements-docs.txt

clean:  ## remove what was installed here
	rm -rf .venv .lowest .tools

$(READY): requirements.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements.txt
	$(UV) pip install --quiet --python $(PY) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.docs: requirements-docs.txt $(READY)
	$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements-docs.txt
	@touch $@

.lowest/.ready: pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .lowest
	$(UV) $(COMPILE) pyproject.toml --all-extras --group dev --resolution lowest-direct \
	  --python .lowest/bin/python -o .lowest/requirements.txt
	$(UV) pip sync --quiet --python .lowest/bin/python .lowest/requirements.txt
	$(UV) pip install --quiet --python .lowest/bin/python --no-deps --no-build-isolation -e .
	@touch $@

.tools/uv/bin/uv:
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt

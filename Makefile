# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test bench lint clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -e '.[dev]'
	$(PIP) setuptools wheel hydra-core iopath tqdm
	SAM2_BUILD_CUDA=0 $(PIP) --no-build-isolation --no-deps sam2==1.1.0
	touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/demo.py --output demo-output

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(BENCH)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf $(VENV) demo-output

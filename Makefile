# make demo, make test: each sets up its own environment first, and is quick the second time.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
# Without a GPU the jobs that would take one run side by side on the processor's cores.
GPUS ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo 1 || echo $(CORES))

.PHONY: demo test test-demo test-browser test-slurm fault-test lint setup status clean

demo: setup
	$(BIN)/snakemake --cores $(CORES) --resources gpu=$(GPUS)
	@echo "Open results/report/index.html"

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist loadfile \
		-m "not browser and not demo and not slurm and not faults"

# What the demo must show, read off its results: make demo first.
test-demo: setup
	$(BIN)/python -m pytest tests/demo

# The page in a real browser: needs chromium (Debian: apt-get install chromium).
test-browser: setup
	$(BIN)/python -m pytest tests/browser

# A real SLURM on loopback, installed with apt-get if it is missing; needs root.
test-slurm: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/slurm

# SIGKILL at seeded moments in jobs of every stage, each time gone on with, until the tables are
# there; a full disk and a read-only one. make fault-test KILLS=5
KILLS ?= 20
fault-test: setup
	AFTERIMAGE_KILLS=$(KILLS) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/workflow -m faults

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

# Of another config than the demo's: make status CONFIG=config/nsd.yaml
# It makes no environment: make demo may be at it.
status:
	@test -e $(VENV)/.ready || { echo "No environment yet: run make setup first." >&2; exit 1; }
	@$(BIN)/python workflow_scripts/show_status.py $(if $(CONFIG),--configfile $(CONFIG))

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(shell command -v $(PYTHON) || command -v python3) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	touch $@

clean:
	rm -rf results .snakemake

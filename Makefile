# Every path is relative: a checkout may lie in a folder with spaces in its name, which make cannot quote.

PYTHON ?= python3
RUN = .venv/bin/python -m
PIP = $(RUN) pip --quiet --quiet --disable-pip-version-check --no-input

# Tests start hundreds of processes: each would compile the package again, and each worker the tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup buckets cogs demo test check bench soak dist clean

help:
	@echo "make demo    fill the sample pictures offline, with the local emulator"
	@echo "make test    run the tests"
	@echo "make check   formatting, lint and types"
	@echo "make bench   measure, next to other clients and up to a million rows (FLAGS=--help says what else)"
	@echo "make soak    prove the promises: kills, power cuts, simulated nights (an hour)"
	@echo "make cogs    install real Cog servers, for tests that are skipped without them"
	@echo "make buckets unpack a real bucket server (Ceph, on Debian), for tests that are skipped without it"
	@echo "make dist    build the source distribution and the wheel into dist, and check them"
	@echo "make setup   only make .venv, with all that development needs"
	@echo "make clean   remove .venv, .ceph, .cogs, caches and offline batches"

setup: .venv/.developing

demo: .venv/.installed
	@.venv/bin/batchfill demo jobs

test: .venv/.developing
	@$(RUN) pytest

check: .venv/.developing
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy

bench: .venv/.benching
	@$(RUN) tests.bench $(FLAGS)

soak: .venv/.developing
	@$(RUN) tests.chaos.soak.run

# The wheel is made of the source distribution; the demo then runs from it in an empty folder.
dist: .venv/.installed
	@$(PIP) install 'build>=1.2,<2' 'twine>=7,<8'
	@rm -rf dist build/installed build/empty
	@$(RUN) build
	@$(RUN) twine check --strict dist/*
	@$(PYTHON) -m venv build/installed
	@build/installed/bin/pip --quiet --disable-pip-version-check install dist/*.whl
	@mkdir -p build/empty && cd build/empty && ../installed/bin/batchfill demo

# A server of s3:// addresses. Nothing of it is installed, and no root is needed.
buckets: .ceph/.made

.ceph/.made: tests/support/unpack_ceph.sh
	@tests/support/unpack_ceph.sh .ceph

# Servers of own models, of both generations. Each has an environment of its own: they pin what we use too.
cogs: .cogs/cog-0.16/.made .cogs/cog-0.23/.made

.cogs/cog-0.16/.made: COG = cog==0.16.12
.cogs/cog-0.23/.made: COG = cog==0.23.1 coglet==0.23.1
.cogs/%/.made:
	@$(PYTHON) -m venv .cogs/$*
	@.cogs/$*/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input --retries 2 --timeout 10 \
		install --no-compile $(COG) pillow opencv-python-headless
	@touch $@

# Only offline batches: jobs/*.batch without "local" may hold pictures that were paid for.
clean:
	rm -rf .venv .ceph .cogs .mypy_cache .ruff_cache .hypothesis .pytest_cache build dist jobs/*.local.batch
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What running takes; the tools of development come on top of it only where a target needs them.
.venv/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "batchfill needs Python 3.11 or newer as $(PYTHON), and found: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Install one, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once; a minute or so)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python could not make .venv; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PIP) install --editable .
	@touch $@

.venv/.benching: .venv/.installed
	@echo "Adding what the bench needs to .venv (once)"
	@$(PIP) install --editable '.[bench]'
	@touch $@

.venv/.developing: .venv/.installed
	@echo "Adding the tools of development to .venv (once)"
	@$(PIP) install --editable '.[dev]'
	@touch $@

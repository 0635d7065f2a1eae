# make run | test | check | bench | fuzz | soak | dist | lint | sbom: each sees to its own set-up in .venv; a machine needs python3 (3.11 or later) with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test check bench fuzz soak dist lint sbom lock clean

run: $(READY)
	$(BIN)/convload run plans/smoke.toml

test: $(READY)
	$(BIN)/pytest -n 4 --dist worksteal  # four on two cores: a test of a whole run waits as much as it computes

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/sizes.py

bench: $(READY)
	$(BIN)/python -m bench.run

# SECONDS (60) for all TARGETS (all without) together; SEED repeats a round.
fuzz: $(READY)
	$(BIN)/python -m fuzz --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(TARGETS)

# SECONDS (3600) of load with a fault EVERY so many (60), drawn from SEED (1); docs/reliability.md.
soak: $(READY)
	$(BIN)/python -m bench.soak --seconds $(or $(SECONDS),3600) --seed $(or $(SEED),1) --every $(or $(EVERY),60)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "convload needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Wheel, sdist, manual page and completions, built twice: the same files give the same bytes.
dist: $(READY)
	$(BIN)/python -m supply.dist dist

# Workflows, container file and manifests, by linters that are programs of their own and so have a folder of their own.
lint: $(READY)
	$(BIN)/python -m supply.lint $(CURDIR)/$(VENV)/lint

# What convload is made of, as CycloneDX, and what is known against it. pip-audit brings 30 packages, so it has a folder of its own.
sbom: $(READY)
	$(BIN)/python -m supply.sbom dist/convload.cdx.json
	test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit && $(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.9,<3'; } || true
	$(BIN)/python -m supply.audit $(VENV)/audit/bin/pip-audit

# Renews requirements.lock; needs uv. It holds hashes and no address of a package index.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock
	$(BIN)/python -m supply.image_locks

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

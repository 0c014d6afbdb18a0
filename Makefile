# Two commands do everything: `make demo` shows the product, `make test` checks it.
PYTHON ?= python3
PY := .venv/bin/python
DAYS ?= 180
KIND ?= backfill
SERVE ?= 1
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo up once test soak bench release-check lock

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## install the pinned packages into .venv, nothing else
	@$(PYTHON) -m tem.install

setup-dev:
	@$(PYTHON) -m tem.install --dev

demo: setup ## the product over the demo GitLab; SERVE=0 ends with the run's status
	@$(PY) -m tem.stack demo --days $(DAYS) $(if $(filter 0 no false,$(SERVE)),--no-serve)

up: setup ## the product over your GitLab and services (see .env.example)
	@$(PY) -m tem.stack up

once: setup ## one run and out: KIND=backfill|incremental|nightly|recompute DAYS=180
	@$(PY) -m tem.stack once $(KIND) --days $(DAYS)

test: setup-dev ## the whole test suite and every check
	@$(PY) -m tem.checks test

soak: setup-dev ## the long reliability tests
	@$(PY) -m tem.checks soak

bench: setup ## the benchmarks
	@$(PY) -m tem.checks bench

release-check: setup-dev ## everything that must hold before a release
	@$(PY) -m tem.checks release

lock: setup ## compile requirements*.in into requirements*.txt, with hashes
	@for part in requirements-uv requirements requirements-embedded requirements-demo requirements-dev; do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    $$part.in -o $$part.txt || exit 1; done

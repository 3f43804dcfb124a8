# Everything starts here: each target first makes .venv what uv.lock says (tools/setup.sh; nothing to do the second time).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-platforms short fast test-faults test-engines test-airflow airflow-faults airflow airflow-down lint format docs bench test-deps clean setup

python := .venv/bin/python
# Without bytecode each process would read this package anew, and pytest rewrite every test: seconds each time.
unexport PYTHONDONTWRITEBYTECODE
# Keras writes a settings file into HOME when it is imported; not from here.
export KERAS_HOME ?= $(CURDIR)/.cache/keras

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## sample data, training, blessing, pushing; where the model and the report are; two sizes told apart
	@.venv/bin/tfx-retail run configs/sample.yaml
	@TF_CPP_MIN_LOG_LEVEL=3 $(python) -W ignore -m tools.size_pair configs/sample.yaml

test: setup ## format, lint, types, import contracts, every test, one whole run: under 10 minutes on 2 cores
	@tools/test.sh

test-platforms: setup ## make test, then the short set on the other platform: root and debootstrap for TFX 1.21 on an older system
	@tools/test_platforms.sh

short: setup ## fast tests, TensorFlow tests, one whole run: what the other platform gets in test-platforms
	@tools/test_short.sh

fast: setup ## only the tests that need no TensorFlow: seconds
	@tools/test_fast.sh

test-faults: setup ## runs killed in every node, two at once, a full disk: a quarter of an hour
	@$(python) -m pytest tests/e2e -m faults

test-engines: setup ## the pipeline on clusters of Spark and Flink on this machine, workers killed; needs Java 17 and Maven: an hour
	@$(python) -m pytest -q tests/engines -m engines

test-airflow: setup ## a live Airflow 3, then 2.11, with PostgreSQL: pipelines, forms, skips, schedules
	@tools/test_airflow.sh

airflow-faults: setup ## kill -9, crashes, a full disk, hanging nodes on a live Airflow 3: an hour
	@$(python) -m benchmarks.faults

airflow: setup ## Airflow 3 with PostgreSQL on this machine and the sample pipeline in it; airflow-down stops it
	@deploy/local.sh up

airflow-down: ## stop what make airflow started
	@deploy/local.sh down

lint: setup ## format, lint, types, import contracts
	@tools/lint.sh

format: setup ## rewrite the code in the house's format
	@$(python) -m ruff format . && $(python) -m ruff check --fix --quiet .

docs: setup ## write the generated pages anew
	@$(python) -m tools.config_reference > docs/config.md

bench: setup ## time and memory against a bare script and a stock pipeline: half an hour
	@$(python) -m benchmarks.bench
	@$(python) -m benchmarks.memory
	@$(python) -m benchmarks.startup

test-deps: ## system packages that the tests need: Chromium and PostgreSQL's server, by apt
	@tools/test_deps.sh

clean: ## remove the environment and what tools left; data/ and output/ stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@tools/setup.sh

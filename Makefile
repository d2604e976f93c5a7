# The only commands anyone needs to know. Each sets up what it needs and is quick the second time.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev serve test test-fast test-faults check format bench bench-serving bench-routing bench-memory lock train-pocket pocket clean

ARGS ?=
PY := .venv/bin/python

help:           ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup:          ## Virtual environment .venv with pinned dependencies and the vLLM build that fits
	@scripts/setup.sh

setup-dev:      ## The same plus what tests and checks need
	@scripts/setup.sh dev

serve: setup    ## Serve on 127.0.0.1:8080 (ARGS="--model Qwen/Qwen3-0.6B")
	@.venv/bin/zoran serve $(ARGS)

test: setup-dev ## All tests but the fault injection (ARGS="-k something")
	@$(PY) -m pytest -m "not faults" $(ARGS)

test-faults: setup-dev ## Fault injection on a running stack; wants an otherwise idle machine
	@$(PY) -m pytest -m faults -s $(ARGS)

test-fast: setup-dev ## Tests that need neither Ray nor an engine
	@$(PY) -m pytest -m "not integration and not engine" $(ARGS)

check: setup-dev ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: setup-dev ## Format the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: bench-serving bench-routing bench-memory ## All benchmarks

bench-serving: setup-dev ## Serving against bare vLLM, Ray Serve LLM and LiteLLM; writes benchmarks/README.md
	@benchmarks/serving/peers.sh
	@$(PY) -m benchmarks.serving $(ARGS)

# Recorded rewards to route on; without any, on made-up ones, and no figure is published.
ROUTING_DATA ?= $(wildcard ../shared/data/routing/paretobandit/val*.jsonl.gz)

bench-routing: setup-dev ## Routing against paretobandit and static mixes (ROUTING_DATA=FILES); writes benchmarks/README.md
	@benchmarks/routing/peers.sh
	@$(PY) -m benchmarks.routing --only scenarios timing gateway \
		$(if $(ROUTING_DATA),--write-readme --data $(ROUTING_DATA)) $(ARGS)

# Real prompts for the compression of `Z5::`; without any, made-up ones.
MEMORY_DATA ?= $(firstword $(wildcard ../shared/data/routing/paretobandit/val.jsonl.gz))

bench-memory: setup-dev ## Journal, Z5, privacy and memory against their references; writes benchmarks/README.md
	@benchmarks/memory/peers.sh
	@$(PY) -m benchmarks.memory --write-readme $(if $(MEMORY_DATA),--data $(MEMORY_DATA)) $(ARGS)

train-pocket: setup-dev ## Train the embedded model again (CPU minutes)
	@$(PY) -m zoran_ray.pocket.train --out zoran_ray/pocket/model $(ARGS)

# Minutes on a GPU (ARGS="--device cuda --workers 12"), hours on a CPU; --minutes ends each of both sooner.
POCKET ?= build/pocket

pocket: setup-dev ## Train the laboratory's two models into build/pocket (ARGS="--minutes 30")
	@$(PY) -m benchmarks.reasoning.pocket.train --size small --out $(POCKET)/pocket-lab-s $(ARGS)
	@$(PY) -m benchmarks.reasoning.pocket.train --size large --out $(POCKET)/pocket-lab-l $(ARGS)

lock: setup-dev ## Pin all dependencies anew
	@scripts/lock.sh

clean:          ## Remove environments and caches
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/.peers

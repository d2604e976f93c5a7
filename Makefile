# The only commands anyone needs to know. Each sets up what it needs and is quick the second time.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev serve test test-fast test-faults check format bench bench-serving bench-routing bench-memory bench-reasoning bench-batch bench-autopilot bench-cluster test-cluster test-release lock train-pocket pocket clean

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

test: setup-dev ## All tests but fault injection, several hosts and those of a release (ARGS="-k something")
	@$(PY) -m pytest -m "not faults and not hosts and not release" $(ARGS)

test-faults: setup-dev ## Fault injection on a running stack; wants an otherwise idle machine
	@$(PY) -m pytest -m faults -s $(ARGS)

test-release: setup-dev ## Before a release: the image as Docker runs it, every dashboard on a real Prometheus
	@$(PY) -m pytest -m release -s $(ARGS)

test-cluster: setup-dev ## A cluster of three hosts in network namespaces, and what befalls it; root only
	@$(PY) -m pytest -m hosts -s $(ARGS)

test-fast: setup-dev ## Tests that need neither Ray nor an engine nor Docker
	@$(PY) -m pytest -m "not integration and not engine and not docker and not hosts and not release" $(ARGS)

check: setup-dev ## ruff, mypy --strict, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: setup-dev ## Format the code
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: bench-serving bench-routing bench-memory bench-reasoning bench-batch bench-autopilot bench-cluster ## All benchmarks

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

# A run that was cut goes on where it was. What is small (--quick) or of one task (--task) is not published.
bench-reasoning: setup-dev ## Strategies at equal budgets, on the laboratory's models; writes benchmarks/README.md
	@$(PY) -m benchmarks.reasoning $(if $(filter --quick --task --models,$(ARGS)),,--write-readme) $(ARGS)

bench-batch: setup-dev ## Batches against LLM.generate and Ray Data; writes benchmarks/README.md
	@benchmarks/serving/peers.sh
	@$(PY) -m benchmarks.batch --ray-data --write-readme $(ARGS)

# A run that was cut goes on where it was. Of a part of it nothing is published.
bench-autopilot: setup-dev ## What the autopilot merges, survives and lets out; writes benchmarks/README.md
	@$(PY) -m benchmarks.autopilot $(if $(filter --only --bugs --points --jobs --rounds,$(ARGS)),,--write-readme) $(ARGS)

bench-cluster: setup-dev ## The control plane in large, more gateways, parts that are killed; writes benchmarks/README.md
	@$(PY) -m benchmarks.cluster $(if $(filter --only --quick,$(ARGS)),,--write-readme) $(ARGS)

train-pocket: setup-dev ## Train the embedded model again (CPU minutes)
	@$(PY) -m zoran_ray.pocket.train --out zoran_ray/pocket/model $(ARGS)

# Hours on one CPU core; --minutes ends each of both sooner, --resume goes on where it ended.
POCKET ?= build/pocket

pocket: setup-dev ## Train the laboratory's two models into build/pocket (ARGS="--minutes 60")
	@$(PY) -m benchmarks.reasoning.pocket.train --size small --out $(POCKET)/pocket-lab-s $(ARGS)
	@$(PY) -m benchmarks.reasoning.pocket.train --size large --grow $(POCKET)/pocket-lab-s --rate 0.4 --out $(POCKET)/pocket-lab-l $(ARGS)

lock: setup-dev ## Pin all dependencies anew
	@scripts/lock.sh

clean:          ## Remove environments and caches
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis benchmarks/.peers

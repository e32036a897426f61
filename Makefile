# `make help` says what there is. Variables: PYTHON (3.11 to 3.13), DATA (folder of datasets), ARGS (passed on).

PYTHON ?= python3
VENV   ?= .venv
EXTRAS ?= dev,bench,postgres,gpu
ARGS   ?=

BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
PROJECTS := pyproject.toml $(wildcard clients/python/pyproject.toml) $(sort $(wildcard plugins/*/pyproject.toml))
EDITABLE := $(foreach project,$(filter-out pyproject.toml,$(PROJECTS)),-e ./$(patsubst %/,%,$(dir $(project))))

ifneq ($(DATA),)
export CANDELABRA_DATA := $(abspath $(DATA))
endif

.DEFAULT_GOAL := help
.PHONY: help install demo serve test lint format protos docs bench bench-quality constraints clean distclean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## an environment in .venv with server, client and plugins; does nothing when it is up to date

# One call of pip for everything, so that one resolution covers it. Without build isolation, so that setuptools
# and setuptools-scm, which seqeval is built with, are pinned as well. Where python3-venv is missing, pip itself fills an
# environment made without it.
$(STAMP): constraints.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed and '$(PYTHON)' is not one: use 'make install PYTHON=python3.12'." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet -c constraints.txt pip; } || { \
	  echo "No environment could be made in $(VENV): install pip, or the venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools setuptools-scm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e ".[$(EXTRAS)]" $(EDITABLE)
	@touch $@

demo: install ## the whole story in one run, on example sentences or on DATA=../shared/data
	$(BIN)/python -m demo $(if $(DATA),--data $(DATA)) $(ARGS)

serve: install ## a server on 127.0.0.1:8001, metrics on 8002
	$(BIN)/candelabra serve $(ARGS)

# One thread for arithmetic: small matrices on several threads spend their time waiting for each other.
test: install ## every test; ARGS="tests/unit -k batcher" for some
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(ARGS)

lint: install ## what CI asks of the code's form and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## puts the code into the form that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: install ## the generated code, anew from protos/
	$(BIN)/python protos/generate.py

docs: install ## the tables of docs/operations.md, anew from the code
	$(BIN)/python docs/generate_tables.py

bench-quality: install ## test scores of every dataset through the served API, with tables; goes on where it was
	$(BIN)/python -m bench.quality $(ARGS)

bench: install ## every measurement, a table each; ARGS="heads crash" for some
	$(BIN)/python -m bench $(ARGS)

# With the oldest Python, so that every pin exists for all three. torch, and the CUDA packages that come with it on
# other indexes, stay: their pins are changed by hand.
HELD := ^(torch|triton|cuda-.*|nvidia-(cu|nc|nv).*)==

constraints: ## newest versions of everything but torch into constraints.txt; run it with Python 3.11
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Use Python 3.11, the oldest one supported: 'make constraints PYTHON=python3.11'." >&2; exit 1; }
	rm -rf .run/constraints && $(PYTHON) -m venv .run/constraints
	grep -E '$(HELD)' constraints.txt > .run/torch.txt
	.run/constraints/bin/python -m pip install --quiet --upgrade -c .run/torch.txt pip setuptools setuptools-scm
	.run/constraints/bin/python -m pip install --quiet -c .run/torch.txt --no-build-isolation -e ".[$(EXTRAS)]" $(EDITABLE)
	.run/constraints/bin/python -m pip freeze --all --exclude-editable | grep -vE '$(HELD)' > .run/rest.txt
	{ grep '^#' constraints.txt; sort -f .run/torch.txt .run/rest.txt; } > .run/constraints.txt
	mv .run/constraints.txt constraints.txt

clean: ## caches and build outputs away; the environment stays
	rm -rf build dist .run .pytest_cache .mypy_cache .ruff_cache .hypothesis server/*.egg-info clients/python/*.egg-info plugins/*/*.egg-info
	find server clients plugins tests docs bench demo -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## the environment too
	rm -rf $(VENV) protos/.venv

# `make run` and `make test` do all the set-up that a fresh machine needs.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup run test docs readme export notebooks clean

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(foreach p,python3.11 python3,$(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.stamp ## make the virtual environment .venv; does nothing when it is up to date

# A package that pip was killed over looks installed, so an installation that was cut off starts afresh. `.installing`
# holds the process that installs, and goes when pip has ended by itself, well or badly.
INSTALLING := $(VENV)/.installing
$(VENV)/.stamp: constraints.txt settings.ini setup.py
	@trap 'exit 130' INT TERM
	if [ -e $(INSTALLING) ] && ps -o stat= -p "$$(cat $(INSTALLING))" 2>/dev/null | grep -qv '^Z'; then
	  echo 'another `make` is installing; wait for it' >&2; exit 1
	fi
	if [ -e $(INSTALLING) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then
	  [ -n "$(PYTHON)" ] || { echo 'no Python 3.11 or newer found; install it, or name it: make PYTHON=/path/to/python' >&2; exit 1; }
	  rm -rf $(VENV); mkdir $(VENV); echo $$$$ > $(INSTALLING)
	  $(PYTHON) -m venv $(VENV)
	fi
	echo $$$$ > $(INSTALLING)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]' || { rm $(INSTALLING); exit 1; }
	mv $(INSTALLING) $@

run: setup ## the whole job and its report, e.g. make run ARGS='--data ../shared/data'
	$(BIN)/midas_task2 run $(ARGS)

test: setup ## every check, and the tests in all notebooks
	@$(BIN)/python tools/check.py

docs: setup ## every notebook as HTML in _docs/
	rm -rf _docs
	$(BIN)/python tools/pages.py docs _docs

README := README.md
readme: setup ## README.md from nbs/index.ipynb
	@$(BIN)/python tools/pages.py readme '$(README)'

export: setup ## the modules in midas_task2/ from the notebooks
	$(BIN)/nbdev_export

notebooks: setup ## run notebooks again in place, e.g. make notebooks NB=nbs/00_core.ipynb
	$(BIN)/python tools/execute.py $(NB)

clean: ## delete what the tools made; the environment, data and results stay
	rm -rf _docs _proc build dist *.egg-info nbs/.last_checked
	find . -path ./$(VENV) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -print0 | xargs -0 rm -rf

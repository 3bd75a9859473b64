# Every command is in run.py (`python3 run.py` lists them); set-up happens by itself, never with sudo.
# ARGS are passed on:  make demo ARGS=--json     make test ARGS="-k torn"
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help demo desk test live explore mutants check bench docs texts screenshots deb lock clean setup

help:
	@$(PYTHON) run.py help

demo desk test live explore mutants check bench docs texts screenshots deb lock clean setup:
	@$(PYTHON) run.py $@ $(ARGS) || { code=$$?; [ $$code -eq 141 ] || exit $$code; }  # 141: `| head` has seen enough

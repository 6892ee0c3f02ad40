# `make serve` runs the archive, `make test` checks everything; each does all of its own set-up.

VENV := .venv
BENCH_VENV := .venv-bench
PIP := $(VENV)/bin/python -m pip install -qq --disable-pip-version-check --timeout 120 --retries 10
OPTIONS ?=

# Tests start the archive hundreds of times: what is compiled once is kept, also where images of containers forbid it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve test lint bench faults soak fuzz screenshot

help:
	@echo "make serve       run the archive on this machine, data in ./data (OPTIONS=\"--workers 2\" adds options)"
	@echo "make test        lint, types, import contracts and all tests"
	@echo "make lint        the same without the tests"
	@echo "make bench       the archive and Orthanc side by side; hours, as root (OPTIONS=\"--list\" shows the rows)"
	@echo "make faults      kill -9 and power cuts, hundreds of them; an hour, as root (OPTIONS=--peer: of Orthanc)"
	@echo "make soak        an hour of mixed load: open files, threads, memory and times stay as they are"
	@echo "make fuzz        bent inputs for every reader, ten minutes each (OPTIONS=\"json --seconds 60\"; --list shows them)"
	@echo "make screenshot  the pictures of the console and of viewers that the README shows"

serve: $(VENV)/.installed
	@exec $(VENV)/bin/archive serve $(OPTIONS)

test: $(VENV)/.installed-test
	@setup/system_packages.sh
	@$(MAKE) --no-print-directory lint
	$(VENV)/bin/python -m pytest -n 2 --durations=15

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

bench: $(BENCH_VENV)/.installed
	@setup/system_packages.sh
	$(BENCH_VENV)/bin/python -m benchmarks $(OPTIONS)

faults: $(VENV)/.installed-test
	@setup/system_packages.sh
	$(VENV)/bin/python -m reliability kills $(OPTIONS)
	$(VENV)/bin/python -m reliability power-cuts $(OPTIONS)
	$(VENV)/bin/python -m reliability power-cuts-at-points $(OPTIONS)
	$(VENV)/bin/python -m reliability --report

soak: $(VENV)/.installed-test
	$(VENV)/bin/python -m reliability soak $(OPTIONS)
	$(VENV)/bin/python -m reliability --report

fuzz: $(VENV)/.installed-test
	@setup/system_packages.sh
	$(VENV)/bin/python -m fuzz $(OPTIONS)

screenshot: $(VENV)/.installed-test
	@setup/system_packages.sh
	ARCHIVE_TEST_SCREENSHOT=$(CURDIR)/docs/ohif.png $(VENV)/bin/python -m pytest -p no:randomly tests/e2e/test_ohif.py
	ARCHIVE_TEST_LIGHT_SCREENSHOT=$(CURDIR)/docs/viewer.png $(VENV)/bin/python -m pytest -p no:randomly tests/e2e/test_light_viewer.py -k found
	ARCHIVE_TEST_CONSOLE_SCREENSHOT=$(CURDIR)/docs/console.png $(VENV)/bin/python -m pytest -p no:randomly tests/e2e/test_console_pages.py -k signing

# The archive is installed editable, so only a change of the dependencies asks for a new installation.
$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the archive into $(VENV); the first time this takes a minute …"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing the archive and its test tools into $(VENV); the first time this takes minutes …"
	@$(PIP) --editable '.[test,fuzz]'
	@touch $@ $(VENV)/.installed

$(VENV)/bin/python:
	@setup/venv.sh $(VENV)

# Of the system's Python: those that distributions build are a quarter faster than what `pyenv install` makes by default.
$(BENCH_VENV)/.installed: pyproject.toml
	@test -x $(BENCH_VENV)/bin/python || PYTHON=$${PYTHON:-/usr/bin/python3} setup/venv.sh $(BENCH_VENV)
	@echo "Installing the archive and what its benchmarks need into $(BENCH_VENV) …"
	@$(subst $(VENV),$(BENCH_VENV),$(PIP)) --editable '.[bench]'
	@touch $@

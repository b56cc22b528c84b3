# Everything here is plain pip, pytest and nvflare: `make -n demo` prints the commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOB ?= fedadam_dp
RUN := runs/$(JOB)
# One thread a site: with fewer, FLARE's simulator starts a process anew for each task of each site.
THREADS ?= $(shell grep -c '"site-' jobs/$(JOB)/meta.json)
TOLD := round [0-9]|cases ready|the model after|ERROR|CRITICAL|Traceback

.PHONY: demo test lint docs jobs clean

# FLARE's log goes to a file; what it says of cases, rounds and errors is shown as it comes.
demo: $(VENV)/.demo
	@test -f jobs/$(JOB)/meta.json || { echo "there is no job $(JOB): choose one of $$(ls jobs | tr '\n' ' ')"; exit 1; }
	@mkdir -p runs
	@echo "nvflare simulator jobs/$(JOB) -w $(RUN) -t $(THREADS)    (its whole log: $(RUN).log)"
	@{ $(BIN)/nvflare simulator jobs/$(JOB) -w $(RUN) -t $(THREADS) 2>&1; echo $$? > $(RUN).status; } \
		| tee $(RUN).log | grep --line-buffered -E '$(TOLD)' || true
	@test "$$(cat $(RUN).status)" = 0 || { tail -n 20 $(RUN).log; exit 1; }
	$(BIN)/ecg-flare report $(RUN) -o $(RUN)/report.html

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.test
	$(BIN)/ruff check src tests benchmarks custom
	$(BIN)/ruff format --check src tests benchmarks custom
	$(BIN)/mypy

# The site for any web server, or for reading from the disk: build/docs/index.html.
docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

jobs: $(VENV)/.demo
	$(BIN)/ecg-flare jobs build

clean:
	rm -rf $(VENV) runs build dist .mypy_cache .pytest_cache .ruff_cache

# constraints.txt holds the versions that were tested together, with torch's CPU-sized build.
$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $@ $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	touch $@ $(VENV)/.demo

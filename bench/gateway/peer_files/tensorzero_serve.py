"""Serves TensorZero's gateway over HTTP from its Python package, and prints its URL. Run by that package's
own environment."""

from __future__ import annotations

import sys
import threading

# What `tensorzero.patch_openai_client` starts. It listens on a free port.
from tensorzero import _start_http_gateway  # type: ignore[import-not-found]

gateway = _start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, flush=True)
threading.Event().wait()

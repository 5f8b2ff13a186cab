"""LiteLLM's database: a PostgreSQL that comes as a wheel, its tables, and LiteLLM's client for it.

LiteLLM speaks to it through Prisma, whose engine is a binary that no package registry has. `engine.js` does
its part here, over Prisma's official client for JavaScript. Both clients are made from LiteLLM's own schema,
by programs of Prisma that need no engine for it."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from suites import installing

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".cache" / "litellm"
NODE = ROOT / ".cache" / "litellm-node"
_ENGINE = HERE / "engine.js"
_MARK = NODE / ".generated"
_GENERATOR = re.compile(r"generator client \{.*?\n\}", re.DOTALL)
_FOR_NODE = """generator client {
  provider = "prisma-client-js"
  engineType = "client"
}"""
_FOR_PYTHON = """generator client {
  provider = "prisma-client-py"
  recursive_type_depth = -1
}"""


def ensure() -> None:
    """Install Prisma, and make LiteLLM's clients if its schema is another than theirs. Raises
    CalledProcessError with the program's own words above it."""
    installing.ensure("litellm-node", NODE)
    schema = _packages("litellm/proxy/schema.prisma").read_text("utf-8")
    wanted = hashlib.sha256(schema.encode()).hexdigest()
    made = (_packages("prisma") / "client.py").exists()
    if made and _MARK.exists() and _MARK.read_text("utf-8") == wanted:
        return
    _generate("prisma", _GENERATOR.sub(_FOR_NODE, schema))
    _generate("prisma-5", _GENERATOR.sub(_FOR_PYTHON, schema))
    _MARK.write_text(wanted, "utf-8")


def environment(url: str) -> Mapping[str, str]:
    """Return the variables by which a proxy finds the database at `url`."""
    return {
        "DATABASE_URL": url,
        "DISABLE_SCHEMA_UPDATE": "true",
        "PRISMA_QUERY_ENGINE_BINARY": str(_ENGINE),
        "NODE_PACKAGES": str(NODE),
    }


@contextmanager
def running(directory: Path) -> Iterator[str]:
    """Run a server with LiteLLM's tables in `directory`, whose path must be short. Return its URL."""
    server = ROOT / "suites" / "postgres" / "server.py"
    command = [str(PYTHON / "bin" / "python"), str(server), str(directory / "data")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, "PostgreSQL did not start"
        with psycopg.connect(url, autocommit=True) as connection:
            for file in sorted(_packages("litellm_proxy_extras/migrations").glob("*/migration.sql")):
                connection.execute(file.read_bytes())
        yield url
        process.stdin.close()
        process.wait(timeout=30)


def _packages(path: str) -> Path:
    """Return a path in the packages of LiteLLM's environment."""
    return next((PYTHON / "lib").glob("python*/site-packages")) / path


def _generate(prisma: str, schema: str) -> None:
    """Let a version of Prisma make the client that a schema asks for."""
    file, no_engine = NODE / f"{prisma}.prisma", NODE / "no-engine"
    file.write_text(schema, "utf-8")
    no_engine.write_text("#!/bin/sh\necho no-engine 0\n", "utf-8")
    no_engine.chmod(0o755)
    more = {
        "PATH": f"{PYTHON / 'bin'}:{os.environ['PATH']}",
        "CHECKPOINT_DISABLE": "1",
        "PRISMA_SCHEMA_ENGINE_BINARY": str(no_engine),
        "PRISMA_QUERY_ENGINE_BINARY": str(no_engine),
        "PRISMA_CLI_QUERY_ENGINE_TYPE": "binary",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1/nothing",
    }
    program = NODE / "node_modules" / prisma / "build" / "index.js"
    ended = subprocess.run(
        ["node", str(program), "generate", "--schema", str(file)],
        cwd=NODE,
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if ended.returncode:
        sys.stderr.write(ended.stdout + ended.stderr)
        ended.check_returncode()

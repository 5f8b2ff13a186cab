"""The fetch of node notices every cut stream, and its next request works. No package is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "gateway"))
from raw_provider import (
    EVENTS,
    After,
    RawProvider,
    Said,
    chunked,
    completion,
    delta,
    head,
    raw_provider,
    sized,
)

PROGRAM = Path(__file__).with_name("programs") / "fetch_after_a_cut.mjs"
TIMES = 10
WORDS = delta("he") + delta("llo")
SHAPES = {
    "length": Said([sized(WORDS, kind=EVENTS)]),
    "half": Said([sized(WORDS + b'data: {"id"', kind=EVENTS)]),
    "chunks": Said([chunked(WORDS)]),
    "reset": Said([chunked(WORDS, last=b"")], After.RESET),
    "close": Said([head("connection: close"), WORDS], After.CLOSE),
    "whole": Said([sized(completion("next"))]),
}


@pytest.fixture
def provider() -> Iterator[RawProvider]:
    with raw_provider() as server:
        server.answer = lambda body: SHAPES[json.loads(body)["messages"][0]["content"]]
        yield server


@pytest.fixture
def gateway(provider: RawProvider, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A running `holdfast serve`: its base URL and token."""
    table = f'[provider.mine]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = []\nauth = "none"\n'
    (tmp_path / "holdfast.toml").write_text(table + "[settings]\nwait_budget = 0\n", "utf-8")
    command = [sys.executable, "-P", "-m", "holdfast", "serve", "--listen", "127.0.0.1:0", "--json"]
    environ = os.environ | {"HOLDFAST_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        yield f"{started['url']}/v1", started["token"]
        process.terminate()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_nodes_fetch_notices_every_cut_and_its_next_request_works(gateway: tuple[str, str]) -> None:
    cuts = [name for name in SHAPES if name != "whole"]
    command = ["node", str(PROGRAM), *gateway, ",".join(cuts), str(TIMES)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    counts = json.loads(run.stdout)
    assert counts == {name: {"noticed": TIMES, "answered": TIMES} for name in cuts}, run.stderr

"""llm-comply asks for every ability of the three APIs, and holds each answer to the published schema: of a
scripted provider, of a gateway that passes its bytes on, and of one that translates between each pair."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import environments
import pytest
import running
from running import CHAT, MESSAGES, RESPONSES, Gateway

from holdfast.core.identity import Dialect
from holdfast.fake_provider import ScriptedProvider, obliging

FORMATS = {CHAT: "openai-chat", RESPONSES: "open-responses", MESSAGES: "anthropic"}
TESTS = {CHAT: 9, RESPONSES: 13, MESSAGES: 9}
"""The number of tests of each dialect: none may be passed over."""
REFUSED = environments.REFUSALS["llm-comply"]


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(obliging, models=(running.MODEL,)) as started:
        yield started


@pytest.fixture(scope="module")
def gateway(provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    endpoints = {CHAT: provider.url, RESPONSES: provider.url, MESSAGES: provider.root}
    providers = {"native": endpoints, **{str(each): {each: url} for each, url in endpoints.items()}}
    with running.gateway(tmp_path_factory.mktemp("home"), providers) as started:
        running.begin_session(started, CHAT, f"native/{running.MODEL}")
        yield started


def judged(dialect: Dialect, url: str, key: str, model: str) -> dict[str, Any]:
    """Return the errors of each test that did not pass."""
    program = environments.ensure("comply") / "bin" / "llm-comply"
    command = [str(program), "--base-url", url, "--model", model, "--format", FORMATS[dialect], "--json"]
    done = subprocess.run(
        command, env={"OPENRESPONSES_API_KEY": key}, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.stdout, done.stderr[-4000:]
    results = json.loads(done.stdout)["results"]
    assert len(results) == TESTS[dialect]
    return {made["id"]: made.get("errors") for made in results if made["status"] != "passed"}


@pytest.mark.parametrize("dialect", FORMATS, ids=str)
def test_the_scripted_provider_can_do_everything(dialect: Dialect, provider: ScriptedProvider) -> None:
    assert judged(dialect, provider.url, "sk", running.MODEL) == {}


@pytest.mark.parametrize("dialect", FORMATS, ids=str)
@pytest.mark.parametrize("name", ["native", *map(str, FORMATS)])
def test_a_gateway_gives_what_was_asked_for_from_an_endpoint(
    dialect: Dialect, name: str, gateway: Gateway
) -> None:
    failed = judged(dialect, f"{gateway.url}/v1", gateway.token, f"{name}/{running.MODEL}")
    assert failed.keys() == REFUSED.get(dialect, {}).keys(), failed

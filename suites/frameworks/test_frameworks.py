"""Frameworks for agents, each in its own environment and process, by the recipes of the guide:
over the library, or through a gateway that runs as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import environments
import pytest
from suites.clients.test_clients import _tool_call as tool_call

from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status

pytestmark = pytest.mark.timeout(300)
PROGRAMS = Path(__file__).with_name("programs")
_CLOSED = "http://127.0.0.1:9"
TEXT = "All is well — über die Brücke, 日本."
MODEL = "scripted-model"
SITUATIONS = ("plain", "stream", "tools", "later", "passing_401", "rotation", "throttled")
SENDS = 3
"""The most that one request is sent, however often a framework would repeat it."""
QUOTA = {
    "message": "You exceeded your current quota.",
    "type": "insufficient_quota",
    "code": "insufficient_quota",
}
BAD_KEY = {
    "message": "Incorrect API key provided",
    "type": "invalid_request_error",
    "code": "invalid_api_key",
}
SLOW_DOWN = {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}


LOOPBACK_ONLY = {"HTTP_PROXY": _CLOSED, "HTTPS_PROXY": _CLOSED, "NO_PROXY": "127.0.0.1"}
"""Frameworks look prices up, or report what they do: that goes to a port where nobody listens."""


class Framework(NamedTuple):
    """A recipe: its environment and program, its dialect, whether it asks on an event loop too,
    and how often the framework repeats a throttled call whatever it is told."""

    environment: str
    program: str
    dialect: Dialect = Dialect.OPENAI_CHAT
    later: bool = True
    calls: int = 1


CHAT, MESSAGES = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES
FRAMEWORKS = {
    "langchain, openai": Framework("langchain", "langchain_openai_chat.py"),
    "langchain, anthropic": Framework("langchain", "langchain_anthropic_chat.py", MESSAGES),
    "pydantic-ai, openai": Framework("pydantic_ai", "pydantic_ai_agent.py"),
    "pydantic-ai, anthropic": Framework("pydantic_ai", "pydantic_ai_agent.py anthropic", MESSAGES),
    "llama-index": Framework("llama_index", "llama_index_chat.py"),
    "instructor": Framework("instructor", "instructor_chat.py"),
    "openai-agents": Framework("openai_agents", "openai_agents_run.py"),
    "smolagents": Framework("smolagents", "smolagents_model.py", later=False),
    "litellm, openai": Framework("litellm", "litellm_completion.py"),
    "litellm, anthropic": Framework("litellm", "litellm_completion.py anthropic", MESSAGES),
    "crewai": Framework("crewai", "crewai_llm.py", calls=3),
    "autogen": Framework("autogen", "autogen_client.py", later=False),
    "dspy": Framework("dspy", "dspy_lm.py"),
}
every_framework = pytest.mark.parametrize("name", FRAMEWORKS)


class Provider:
    """Answers by the situation, which the key names: `sk-SITUATION-a` and `-b`."""

    def __init__(self) -> None:
        self.seen: dict[str, list[SeenRequest]] = {name: [] for name in SITUATIONS}

    def __call__(self, seen: SeenRequest) -> Behaviour:
        _, situation, label = str(seen.key).split("-")
        before = self.seen[situation]
        before.append(seen)
        match situation, label, len(before):
            case "throttled", _, _:
                return status(429, {"error": SLOW_DOWN}, {"retry-after": "1"})
            case "rotation", "a", _:
                return status(429, {"error": QUOTA})
            case "passing_401", _, 2:
                return status(401, {"error": BAD_KEY})
            case "tools", _, 1:
                return tool_call(seen)
        return ok(TEXT)


class Played(NamedTuple):
    """What a framework's program reported, and what the provider saw, by situation."""

    report: dict[str, Any]
    seen: dict[str, list[SeenRequest]]


def furnish(home: Path, provider: ScriptedProvider) -> dict[str, str]:
    """Write a home with a provider for each situation. Return the environment of its programs."""
    variables = {"HOLDFAST_HOME": str(home), "PYTHONPATH": str(environments.ROOT / "src")}
    endpoints = f'openai-chat = "{provider.url}"\nanthropic-messages = "{provider.root}"\n'
    text = ""
    for name in SITUATIONS:
        variables |= {f"{name.upper()}_{label.upper()}": f"sk-{name}-{label}" for label in "ab"}
        keys = json.dumps([f"env:{name.upper()}_{label}" for label in "AB"])
        text += f'[provider.{name}]\nmodels = ["{MODEL}"]\nkeys = {keys}\n[provider.{name}.endpoints]\n'
        text += endpoints
    (home / "holdfast.toml").write_text(text)
    return variables


@contextmanager
def gateway(variables: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run a gateway, and give the variables by which a program finds it."""
    serve = [str(Path(sys.executable).with_name("holdfast")), "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(serve, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            started = json.loads(server.stdout.readline())
            yield {"GATEWAY": started["url"].rstrip("/"), "TOKEN": started["token"]}
        finally:
            server.terminate()


def play(framework: Framework, home: Path) -> Played:
    script = Provider()
    program, *arguments = framework.program.split()
    command = [str(environments.python(framework.environment)), str(PROGRAMS / program), *arguments]
    with ScriptedProvider(script, models=[MODEL]) as provider:
        variables = furnish(home, provider)
        report = home / "report.json"
        given = {
            "REPORT": str(report),
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **variables,
            **LOOPBACK_ONLY,
        }
        with gateway(variables) as reached:
            done = subprocess.run(
                command, env=given | reached, capture_output=True, text=True, timeout=240, check=False
            )
    assert report.exists(), done.stderr[-4000:]
    return Played(json.loads(report.read_text("utf-8")), script.seen)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Play each framework once."""
    kept: dict[str, Played] = {}

    def of(name: str) -> Played:
        if name not in kept:
            kept[name] = play(FRAMEWORKS[name], tmp_path_factory.mktemp("home"))
        return kept[name]

    return of


@every_framework
@pytest.mark.parametrize("situation", ["plain", "stream", "later"])
def test_the_framework_reads_the_text_that_the_provider_wrote(name: str, situation: str, played: Any) -> None:
    if situation == "later" and not FRAMEWORKS[name].later:
        pytest.skip("this framework has no other call for an event loop")
    report, seen = played(name)
    assert report[situation] == TEXT
    (request,) = seen[situation]
    assert (request.dialect, request.model) == (FRAMEWORKS[name].dialect, MODEL)
    assert request.streams is (situation == "stream")


@every_framework
def test_the_framework_is_handed_the_tool_call(name: str, played: Any) -> None:
    assert played(name).report["tools"] == {"tool": "look_up", "arguments": {"city": "Kraków"}}


@every_framework
def test_a_key_without_quota_is_replaced_before_the_framework_notices(name: str, played: Any) -> None:
    report, seen = played(name)
    assert report["rotation"] == TEXT
    assert [request.key for request in seen["rotation"]] == ["sk-rotation-a", "sk-rotation-b"]


@every_framework
def test_a_passing_401_of_a_good_key_reaches_no_framework(name: str, played: Any) -> None:
    report, seen = played(name)
    assert report["passing_401"] == TEXT
    assert {request.key for request in seen["passing_401"]} == {"sk-passing_401-a"}


@every_framework
def test_a_lasting_429_is_never_sent_more_often_than_we_send_it(name: str, played: Any) -> None:
    report, seen = played(name)
    assert "rate" in report["throttled"]["message"].lower()
    assert 1 <= len(seen["throttled"]) <= SENDS * FRAMEWORKS[name].calls

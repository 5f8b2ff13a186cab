"""Real clients of other people, each in its own environment and process, through a gateway that runs as its
users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import environments
import pytest

from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status

PROGRAMS = Path(__file__).with_name("programs")
TEXT = "All is well — über die Brücke, 日本."
REFUSED = status(
    401,
    {
        "error": {
            "message": "Incorrect API key provided",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    },
)


class Client(NamedTuple):
    """One way in which people call a model. `environment` is a Python environment, or `node`."""

    name: str
    environment: str
    command: tuple[str, ...]
    dialect: Dialect


CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
CLIENTS = [
    *(
        Client(f"openai chat, {era}", era, ("openai_chat.py",), CHAT)
        for era in ("sdk", "sdk_before", "sdk_old")
    ),
    *(
        Client(f"openai responses, {era}", era, ("openai_responses.py",), RESPONSES)
        for era in ("sdk", "sdk_before", "sdk_old")
    ),
    *(
        Client(f"anthropic, {era}", era, ("anthropic_messages.py",), MESSAGES)
        for era in ("sdk", "sdk_before", "sdk_old")
    ),
    Client("langchain-openai", "langchain", ("langchain_chat.py", "openai"), CHAT),
    Client("langchain-anthropic", "langchain", ("langchain_chat.py", "anthropic"), MESSAGES),
    Client("pydantic-ai, openai", "pydantic_ai", ("pydantic_ai_agent.py", "openai"), CHAT),
    Client("pydantic-ai, anthropic", "pydantic_ai", ("pydantic_ai_agent.py", "anthropic"), MESSAGES),
    Client("litellm, openai", "litellm", ("litellm_client.py", "openai"), CHAT),
    Client("litellm, anthropic", "litellm", ("litellm_client.py", "anthropic"), MESSAGES),
    Client("llm", "llm", ("llm_command.py",), CHAT),
    Client("openai js, chat", "node", ("openai_js.mjs", "chat"), CHAT),
    Client("openai js, responses", "node", ("openai_js.mjs", "responses"), RESPONSES),
    Client("anthropic js", "node", ("anthropic_js.mjs",), MESSAGES),
    Client("vercel ai, openai", "node", ("vercel_ai.mjs", "openai"), RESPONSES),
    Client("vercel ai, compatible", "node", ("vercel_ai.mjs", "compatible"), CHAT),
    Client("vercel ai, anthropic", "node", ("vercel_ai.mjs", "anthropic"), MESSAGES),
]


class Gateway(NamedTuple):
    """The running gateway, and the provider behind it."""

    url: str
    token: str
    provider: ScriptedProvider


def _tool_call(seen: SeenRequest) -> Behaviour:
    """A whole answer that calls the first tool it was offered."""
    arguments = json.dumps({"city": "Kraków"})
    answers: dict[Dialect, dict[str, Any]] = {
        CHAT: {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": seen.model,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "id": "call_1",
                                "type": "function",
                                "function": {"name": "look_up", "arguments": arguments},
                            }
                        ],
                    },
                }
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10},
        },
        RESPONSES: {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": seen.model,
            "status": "completed",
            "output": [
                {
                    "type": "function_call",
                    "id": "fc_1",
                    "call_id": "call_1",
                    "name": "look_up",
                    "arguments": arguments,
                    "status": "completed",
                }
            ],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": 3,
                "output_tokens": 7,
                "total_tokens": 10,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            },
        },
        MESSAGES: {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": seen.model,
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"city": "Kraków"}}
            ],
            "stop_reason": "tool_use",
            "stop_sequence": None,
            "usage": {"input_tokens": 3, "output_tokens": 7},
        },
    }
    assert seen.dialect is not None
    return status(200, answers[seen.dialect])


def _answer(seen: SeenRequest) -> Behaviour:
    if seen.key != "sk-the-right-one":
        return REFUSED
    offered, called = b'"look_up"' in seen.body, b'"tool_call_id"' in seen.body
    return _tool_call(seen) if offered and not called else ok(TEXT)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environments.ensure()
    home = tmp_path_factory.mktemp("home")
    with ScriptedProvider(_answer, models=("gpt-scripted",)) as provider:
        endpoints = (
            f'{{ openai-chat = "{provider.url}", openai-responses = "{provider.url}", anthropic-messages '
            f'= "{provider.root}" }}'
        )
        entry = '[provider.{}]\nendpoints = {}\nmodels = ["gpt-scripted"]\nkeys = ["env:{}"]\n'
        (home / "holdfast.toml").write_text(
            entry.format("right", endpoints, "RIGHT_KEY") + entry.format("wrong", endpoints, "WRONG_KEY")
        )
        env = os.environ | {
            "HOLDFAST_HOME": str(home),
            "RIGHT_KEY": "sk-the-right-one",
            "WRONG_KEY": "sk-a-wrong-one",
        }
        command = [
            str(Path(sys.executable).with_name("holdfast")),
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--json",
        ]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            started = json.loads(server.stdout.readline())
            yield Gateway(started["url"].rstrip("/"), started["token"], provider)
            server.terminate()


def ask(client: Client, gateway: Gateway, kind: str, pin: str) -> dict[str, Any]:
    """Return what the client's program printed."""
    program, *more = client.command
    runtime = "node" if client.environment == "node" else str(environments.python(client.environment))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "GATEWAY": gateway.url,
        "TOKEN": gateway.token,
        "MODEL": pin,
    }
    where = PROGRAMS / program
    if client.environment == "node":  # modules are sought beside the program
        where = environments.PLACE / "node" / program
        where.write_text((PROGRAMS / program).read_text())
    done = subprocess.run(
        [runtime, str(where), kind, *more], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip(), done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


every_client = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)


@every_client
@pytest.mark.parametrize("kind", ["plain", "stream"])
def test_the_client_reads_the_text_that_the_provider_wrote(
    client: Client, kind: str, gateway: Gateway
) -> None:
    before = len(gateway.provider.calls)
    assert ask(client, gateway, kind, "right/gpt-scripted") == {"text": TEXT}
    (seen,) = gateway.provider.calls[before:]
    assert (seen.dialect, seen.model, seen.streams) == (client.dialect, "gpt-scripted", kind == "stream")


@every_client
def test_the_client_is_handed_the_tool_call(client: Client, gateway: Gateway) -> None:
    assert ask(client, gateway, "tools", "right/gpt-scripted") == {
        "tool": "look_up",
        "arguments": {"city": "Kraków"},
    }


@every_client
def test_a_refused_key_is_reported_once_and_in_our_words(client: Client, gateway: Gateway) -> None:
    before = len(gateway.provider.calls)
    report = ask(client, gateway, "error", "wrong/gpt-scripted")
    assert report["status"] == 401, report
    assert "with the right value of env:WRONG_KEY" in report["message"], report
    assert "holdfast check wrong/gpt-scripted" in report["message"], report
    assert "sk-a-wrong" not in report["message"]
    assert len(gateway.provider.calls) - before <= 1  # a key that never worked is asked once, for all clients

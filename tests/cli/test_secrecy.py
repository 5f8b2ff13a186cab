"""No command ever prints a key: not on stdout, not on stderr, not when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.furnishing import CANARY, CONFIG, KEPT, Cli, write
from gateway.served import serving
from holdfast.cli import app
from holdfast.fake_provider import ScriptedProvider, status

HIDDEN = (CANARY, KEPT, CANARY.removeprefix("sk-")[:12], KEPT.removeprefix("tp-")[:12])


@pytest.fixture
def loud(furnished: Path) -> Iterator[ScriptedProvider]:
    """A provider that repeats the key which it was shown, in body and headers."""
    shouting = status(
        401,
        {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": "invalid_api_key"}},
        {"x-key": CANARY},
    )
    with ScriptedProvider(shouting) as provider:
        entry = (
            f'[provider.loud]\nurl = "{provider.url}"\nkeys = ["env:MIMO_KEY", '
            f'"cmd:sh -c \'echo {CANARY} >&2; exit 3\'", "cmd:printf {CANARY}"]\n'
            "[settings]\nwait_budget = 0.2  # for a program that will not speak again\n"
        )
        write(furnished / "holdfast.toml", f"{CONFIG}\n{entry}")
        yield provider


COMMANDS = [
    "provider list",
    "provider show mimo",
    "provider show loud",
    "provider add x --url https://x.example/v1 --key {key}",
    "provider add x --url https://me:{key}@x.example/v1",
    "provider add x --url https://me:{key}/x@x.example/v1",
    "provider add x --url me:{key}/x@x.example/v1",
    "provider add x --url {key}",
    "setup --url {key}/v1 --key env:MIMO_KEY",
    "setup --url https://x.example/{key}/chat/completions --key {key}",
    "run pi --url {key} --key {key} --model m",
    "provider add x --endpoint https://me:{key}/x@x.example/v1",
    "key add mimo --url https://me:{key}/x@x.example/v1",
    "provision adopt x --kind litellm --url https://me:{key}/x@x.example/v1",
    "provider add x --url https://x.example/v1?key={key}",
    "provider endpoint both openai-responses=https://me:{key}@x.example/v1",
    "provider endpoint both openai-responses=https://x.example/v1 --auth {key}",
    "key list",
    "key list --json",
    "key login mimo",
    "report --list",
    "key add mimo --from {key}",
    "key add mimo --from -",
    "key add mimo --from - --label two --json",
    "key reset mimo",
    "key reset loud",
    "models --provider loud --refresh",
    "models --provider loud --refresh --json",
    "check loud/m",
    "check loud --json",
    "check loud/m --json",
    "doctor",
    "doctor --json",
    "config upgrade",
    "config path --json",
    "config edit",
    "config schema",
    "config schema --write",
    "provider presets",
    "provider edit mimo --add-model more",
    "setup --url {url}/v1 --key env:MIMO_KEY --model m",
    "setup --url {url}/v1 --key {key} --model m",
    "setup --url {url}/v1 --model m",
    "session pin s loud/m",
    "session pin s mimo/{key}",
    "session list",
    "session show s --json",
    "session export s",
    "session import -",
    "session move --from loud --to mimo --model m=mimo-pro --apply --json",
    "session remove s",
    "why s",
    "why s --json",
    "env --session s",
    "heal hermes",
    "import env",
    "import env --copy-secrets --json",
    "classify",
    "init",
    "completion zsh",
    "run --list",
    "run pi --pin loud/m",
    "connect pi",
    "disconnect pi",
    "key remove mimo team",
    "provider remove both",
    "provider rename mimo plan",
    "provision team --kind litellm --url {url} --admin env:MIMO_KEY --accept",
    "provision obtain team --kind litellm --url {url} --admin env:MIMO_KEY --accept --json",
    "provision obtain other --kind litellm --url {url} --admin {key} --accept",
    "provision adopt own --url {url} --from - --role answer=*",
    "provision adopt own --url {url} --from env:MIMO_KEY --role answer=* --json",
    "provision adopt own --url {url} --from {key}",
    "provision status",
    "provision status --json",
    "provision resolve own --role answer=*",
    "provision verify own --json",
    "provision repair own",
    "provision repair team --discard --json",
    "provision retire own --json",
    "usage",
    "store status",
    "store pepper --replace",
    "store prune",
    "store vacuum",
    "stop",
    "logs",
    "status",
    "token new --label laptop",
    "token new --session s --json",
    "token list --json",
    "token revoke {key}",
    "doctor",
]
IN_A_PROCESS_OF_THEIR_OWN = {"demo", "serve"}


@pytest.mark.parametrize("debug", ["", "1"])
def test_no_command_prints_a_key(
    debug: str, cli: Cli, loud: ScriptedProvider, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_DEBUG", debug)
    monkeypatch.setenv("VISUAL", "true")
    shown = {}
    for line in COMMANDS:
        typed = (
            "{key}" in line and "session pin" in line
        )  # a model's name is repeated: it is no place for a key
        words = line.format(key="sk-typed-0123456789abcdef" if typed else CANARY, url=loud.root).split()
        result = cli(*words, input=f"{CANARY}\n{KEPT}")
        leaked = [value for value in HIDDEN if value in result.stdout + result.stderr]
        if leaked:
            shown[line] = leaked
    assert not shown
    assert "/key/generate" in {seen.path for seen in loud.requests}, "keys were really asked for"
    meant_for_keys = ("secrets.toml", "holdfast.toml")  # ours, and the user's own `cmd:`
    assert not [
        path.name
        for path in home.rglob("*")
        if path.is_file() and path.name not in meant_for_keys and CANARY.encode() in path.read_bytes()
    ]


def test_a_gateway_prints_and_answers_no_key(loud: ScriptedProvider, furnished: Path) -> None:
    with serving(furnished, "--access-log", environ={"HOLDFAST_DEBUG": "1"}) as served:
        answers = [served.chat("loud/m") for _ in range(3)]
        answers += [served.ask(path) for path in ("/", "/v1/models", "/metrics", "/health/ready")]
        answers += [served.ask(f"/holdfast/{page}") for page in ("status", "providers", "sessions")]
        request = answers[0].headers["holdfast-request-id"]
        answers += [served.ask(f"/holdfast/requests/{request}"), served.ask("/holdfast/session/token-first")]
    assert loud.calls[0].key == CANARY
    text = "".join(
        [*served.errors, json.dumps(served.told), *(f"{answer.headers}{answer.text}" for answer in answers)]
    )
    assert not [value for value in HIDDEN if value in text]


def test_every_command_was_tried(cli: Cli) -> None:
    def names(command: click.Command, path: str = "") -> Iterator[str]:
        if not isinstance(command, click.Group):
            yield path.strip()
            return
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from names(inner, f"{path} {name}")

    untried = {
        name
        for name in names(app)
        if not any(line == name or line.startswith(f"{name} ") for line in COMMANDS)
    }
    assert untried == IN_A_PROCESS_OF_THEIR_OWN

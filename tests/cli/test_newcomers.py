"""What people type in their first hour, and what they read then."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.furnishing import CANARY, CONFIG, Cli, write
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status
from tables import rows

NOT_THERE = status(404, {"detail": "Not Found"})
REFUSED = status(401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}})
KEY = "--key env:MIMO_KEY"
MEANT = "could be: mimo/mimo-pro"
LINES = [
    (f"setup --url {{url}}/chat/completions {KEY} --model m", 0, "the provider's address is {url}\n"),
    (f"setup --url {{url}}/chat/completions {KEY} --model m", 0, "openai-chat answered"),
    (
        f"setup --url {{url}}/messages {KEY} --model m",
        4,
        "anthropic-messages: the provider's address is {root}\n",
    ),
    (
        f"provider add p --url {{url}}/messages {KEY}",
        2,
        f"run: holdfast provider add p --url {{root}} --dialect anthropic-messages {KEY}\n",
    ),
    (f"setup --url {{bare}} {KEY}", 2, f"run: holdfast setup --url {{url}} {KEY}\n"),
    (f"provider add p --url x.example/v1 {KEY}", 2, f"provider add p --url https://x.example/v1 {KEY}\n"),
    (
        "setup --url {url} --key env:QUOTED --model m",
        4,
        "'QUOTED' begins with a quotation mark, which is sent",
    ),
    ("setup --url {url} --key env:BEARER --model m", 4, "begins with the word Bearer, which is sent twice"),
    ("setup --url {url} --key MIMO_KEY --model m", 2, f"run: holdfast setup --url {{url}} --model m {KEY}\n"),
    ("setup --url {url} --key $MIMO_KEY", 2, f"run: holdfast setup --url {{url}} {KEY}\n"),
    (f"setup --url {{url}} --key {CANARY}", 2, f"run: holdfast setup --url {{url}} {KEY}\n"),
    (f"provider add p --url {{url}} --key {CANARY}-x", 2, "--url {url} --key env:VARIABLE\n"),
    (
        "run pi --url {url} --key MIMO_KEY --model m",
        2,
        f"run: holdfast run pi --url {{url}} --model m {KEY}\n",
    ),
    ("setup --url {url} --model m", 2, "setup --url {url} --auth none --model m   (or --key env:VARIABLE)\n"),
    (f"setup --url {{url}} {KEY}", 0, "its models: m\n"),
    (
        "setup --url http://127.0.0.1:9/v1 --auth none --name off",
        1,
        "run: holdfast check off   (once its server",
    ),
    (
        "setup --url {url} --key env:IN_DOTENV --model m",
        2,
        "run: set -a; . ./.env; set +a   (it sets IN_DOTENV;",
    ),
    ("session pin s mimo-pro", 2, MEANT),
    ("check mimo-pro", 3, MEANT),
    ("run pi --pin mimo-pro", 2, MEANT),
    ("connect pi --pin mimo-pro", 2, MEANT),
    ("token new --pin mimo-pro", 2, MEANT),
]


@pytest.fixture
def provider(furnished: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    """A server that speaks openai-chat below /v1 alone, beside a furnished home that does not know it."""

    def answered(seen: SeenRequest) -> Behaviour:
        if seen.path != "/v1/chat/completions":
            return NOT_THERE
        return ok() if seen.key == CANARY else REFUSED

    monkeypatch.chdir(furnished)
    monkeypatch.setenv("QUOTED", f'"{CANARY}"')
    monkeypatch.setenv("BEARER", f"Bearer {CANARY}")
    (furnished / ".env").write_text(f"# mine\nexport IN_DOTENV={CANARY}\n")
    with ScriptedProvider(answered, models=["m"]) as server:
        yield server


@rows(
    ("line", "code"),
    [
        ("models", 0),
        ("models --harness pi", 0),
        ("status", 0),
        ("doctor", 0),
        ("run pi", 2),
        ("connect pi", 2),
    ],
)
def test_without_a_provider_every_command_leads_to_setup(line: str, code: int, cli: Cli, home: Path) -> None:
    write(home / "holdfast.toml", "")
    result = cli(*line.split())
    assert (result.exit_code, "run: holdfast setup" in result.output) == (code, True), result.output


@rows(("line", "code", "expected"), LINES)
def test_what_a_newcomer_types_works_or_is_answered_by_what_does(
    line: str, code: int, expected: str, cli: Cli, furnished: Path, provider: ScriptedProvider
) -> None:
    write(furnished / "holdfast.toml", CONFIG)
    words = {"url": provider.url, "root": provider.root, "bare": provider.url.removeprefix("http://")}
    result = cli(*line.format(**words).split())
    assert (result.exit_code, expected.format(**words) in result.output) == (code, True), result.output
    assert CANARY not in result.output


def test_an_address_without_its_version_is_found_and_the_command_that_is_printed_takes_it(
    cli: Cli, furnished: Path, provider: ScriptedProvider
) -> None:
    result = cli(*f"setup --name mine --url {provider.root} {KEY} --model m".split())
    assert (result.exit_code, f"openai-chat at {provider.url}: is spoken" in result.stdout) == (4, True)
    _, _, command = result.stderr.rpartition("run: holdfast ")
    assert cli(*shlex.split(command.partition("   (")[0])).exit_code == 0
    assert cli("check", "mine/m", "--no-probe").exit_code == 0

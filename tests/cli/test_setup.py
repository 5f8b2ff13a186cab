"""`holdfast setup`, and `holdfast run --url`: from an address and a key to a provider that has answered."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.furnishing import CANARY, CONFIG, Cli, child_environment
from holdfast.cli.known_provider import Address, _name_of, _that_has
from holdfast.cli.setup_questions import _ask
from holdfast.config import Home, load
from holdfast.core.identity import ProviderName
from holdfast.fake_provider import ScriptedProvider, only_keys
from tables import rows


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(only_keys(CANARY), models=["small", "large"]) as server:
        yield server


def test_one_line_sets_up_a_provider_that_has_answered(
    cli: Cli, home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", CANARY)
    line = ["setup", "--url", provider.url, "--key", "env:MY_KEY", "--model", "small"]
    result = cli(*line)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Added provider 'local'" in result.stdout
    assert "ok     call" in result.stdout
    assert "holdfast run claude --pin local/small" in result.stdout
    assert [call.model for call in provider.calls] == ["small"]
    written = (home / "holdfast.toml").read_text()
    assert "Provider 'local' is there already" in cli(*line).stdout
    assert (home / "holdfast.toml").read_text() == written


def test_a_second_setup_of_an_address_adds_what_its_entry_lacks(
    cli: Cli, furnished: Path, provider: ScriptedProvider
) -> None:
    cli("setup", "--url", provider.url, "--key", "env:BOTH_KEY", "--model", "small", "--name", "mine")
    result = cli("setup", "--url", provider.url, "--key", "env:MIMO_KEY", "--model", "large")
    assert (result.exit_code, "Added key 'MIMO_KEY' of provider 'mine'" in result.stdout) == (0, True)
    mine = load(Home.at(furnished)).providers[ProviderName("mine")]
    assert [key.ref for key in mine.keys] == ["env:BOTH_KEY", "env:MIMO_KEY"]
    assert mine.models == ("small", "large")


def test_a_setup_that_stopped_is_finished_by_the_name_alone_and_a_wrong_address_by_a_command(
    cli: Cli, furnished: Path, provider: ScriptedProvider
) -> None:
    line = ["setup", "--name", "mine", "--model", "small", "--key", "env:MIMO_KEY"]
    assert cli(*line, "--url", "http://127.0.0.1:9/v1").exit_code == 4
    before = (furnished / "holdfast.toml").read_text()
    refused = cli(*line, "--url", provider.url)
    assert (refused.exit_code, (furnished / "holdfast.toml").read_text()) == (2, before)
    command = refused.stderr.rpartition("run: holdfast ")[2].partition("   (")[0]
    assert cli(*command.split()).exit_code == 0
    assert cli("setup", "--name", "mine", "--model", "small").exit_code == 0
    assert [call.model for call in provider.calls] == ["small"]
    assert "no provider is given" in cli("setup", "--name", "none-such").stderr


def test_the_limits_of_a_model_are_told_to_the_commands_that_write_it(
    cli: Cli, furnished: Path, provider: ScriptedProvider
) -> None:
    limits = ["--context", "131072", "--output", "16384"]
    line = ["setup", "--url", provider.url, "--name", "mine", "--key", "env:MIMO_KEY"]
    assert cli(*line, "--model", "large").exit_code == 0
    for _ in range(2):
        assert cli(*line, "--model", "small", *limits).exit_code == 0
    assert cli("provider", "edit", "mine", "--add-model", "large", "--output", "4096").exit_code == 0
    assert cli("provider", "edit", "mine", "--add-model", "large", "--context", "8192").exit_code == 0
    url = ("--url", "http://127.0.0.1:9/v1", "--auth", "none")
    assert cli("provider", "add", "other", *url, "--model", "x", "--context", "4096").exit_code == 0
    config = load(Home.at(furnished))
    assert {str(pin): facts for pin, facts in config.facts.items() if facts} == {
        "mine/large": {"output": 4096, "context": 8192},
        "mine/small": {"context": 131_072, "output": 16_384},
        "other/x": {"context": 4096},
    }
    assert 'models = ["mimo-pro", "mimo-lite"]' in (furnished / "holdfast.toml").read_text()
    assert "context 131,072 tokens, output 16,384 tokens" in cli("models", "--harness", "pi").stdout
    for refused in (["setup", *url], ["provider", "add", "third", *url], ["provider", "edit", "mine"]):
        result = cli(*refused, *limits)
        assert (result.exit_code, "--context and --output: of which model?" in result.stderr) == (2, True)


def test_a_presets_key_goes_to_no_provider_that_only_began_as_this_preset(
    cli: Cli, home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    proxy = f'[provider.openai]\npreset = "openai"\nurl = "{provider.url}"\nauth = "none"\n'
    home.mkdir(mode=0o700, exist_ok=True)
    file = home / "holdfast.toml"
    file.write_text(proxy)
    file.chmod(0o600)
    config = load(Home.at(home))
    assert _that_has(config, Address(preset="openai")) is None
    assert _that_has(config, Address(provider.url)) is not None
    refused = cli("setup", "--preset", "openai", "--name", "openai")
    assert (refused.exit_code, "openai" in refused.stderr) == (2, True)
    assert (file.read_text(), provider.requests) == (proxy, [])
    file.write_text('[provider.mine]\npreset = "openai"\nkeys = ["env:OPENAI_API_KEY"]\n')
    kept = _that_has(load(Home.at(home)), Address(preset="openai"))
    assert kept is not None


def test_the_key_of_a_presets_variable_goes_to_no_url_unless_it_is_named(
    cli: Cli, home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    refused = cli("setup", "--preset", "openai", "--url", provider.url, "--model", "small")
    assert (refused.exit_code, provider.requests) == (2, [])
    step = refused.stderr.rpartition("run: holdfast ")[2].partition("   (")[0]
    assert step == f"setup --url {provider.url} --preset openai --model small --key env:VARIABLE"
    named = cli(*step.replace("VARIABLE", "OPENAI_API_KEY").split())
    assert named.exit_code == 0, named.stderr


@rows(
    ("arguments", "sentence", "step"),
    [
        ([], "no provider is given, and there is no terminal", "holdfast setup --url URL"),
        (["--url", "http://127.0.0.1:9/v1"], "no key is given", "--auth none   (or --key env:VARIABLE)"),
        (["--url", "http://x.example"], "no key is given", "--key env:VARIABLE   (or --auth none)"),
        (["--preset", "xiaomi"], "no preset is called 'xiaomi'", "'mimo-plan-cn'"),
        (["--url", "https://me:pw@x.example", "--key", "env:A"], "has a user or password", "run:"),
        (["--url", "https://x.example", "--key", CANARY], "", "env:"),
    ],
)
def test_what_is_missing_or_wrong_is_refused_with_the_command(
    arguments: list[str], sentence: str, step: str, cli: Cli, home: Path
) -> None:
    result = cli("setup", *arguments)
    assert (result.exit_code, sentence in result.stderr, step in result.stderr) == (2, True, True)
    assert CANARY not in result.output
    assert not (home / "holdfast.toml").exists()


def test_a_key_of_another_provider_is_not_sent(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-ant-canary-0123456789abcdef")
    result = cli("setup", "--url", "https://api.openai.com/v1", "--key", "env:A_KEY", "--model", "m")
    assert result.exit_code == 1
    assert "may be in the wrong place" in result.stdout


@rows(
    ("url", "name"),
    [
        ("https://llm.corp.example/v1", "corp"),
        ("https://gateway.corp.co.uk/v1", "corp"),
        ("http://127.0.0.1:8099/v1", "local"),
        ("http://[::1]:8080/v1", "local"),
        ("http://localhost:8080/v1", "local"),
        ("https://token-plan-cn.xiaomimimo.com/v1", "mimo-plan-cn"),
        ("https://api.custom.ai/v1", "my-custom"),
        ("https://under_score.io", "under-score"),
    ],
)
def test_a_provider_is_called_by_its_preset_or_the_owner_of_its_host(url: str, name: str) -> None:
    assert _name_of(Address(url)) == name


def test_a_run_keeps_the_provider_whose_address_it_was_given(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider
) -> None:
    program = tmp_path / "bin" / "pi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 1.5.2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    line = ["run", "pi", "--url", provider.url, "--key", "env:MIMO_KEY", "--key", "env:BOTH_KEY"]
    refused = cli(*line)
    assert (refused.exit_code, "--model MODEL" in refused.stderr) == (2, True)
    assert (furnished / "holdfast.toml").read_text() == CONFIG
    assert "Added provider 'local-2'" in cli(*line, "--model", "small").stderr
    kept = load(Home.at(furnished)).providers[ProviderName("local-2")]
    assert ([key.label for key in kept.keys], kept.models) == (["MIMO_KEY", "BOTH_KEY"], ("small",))


def test_in_a_terminal_it_asks_in_plain_lines_where_no_list_can_be_drawn(
    home: Path, provider: ScriptedProvider
) -> None:
    answers = [
        ("name of a preset", f"{provider.url}\n"),
        ("not shown", f"{CANARY}\n"),
        ("number or name", "7\n"),
        ("number or name", "2\n"),
        ("Add ", "y\n"),
    ]
    shown = _set_up_in_a_terminal(answers, home, TERM="dumb")
    assert "\x1b" not in shown
    assert "there is no number 7: the last is 2" in shown
    _is_set_up(shown, home, provider)


def test_a_question_that_is_interrupted_ends_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(click.Abort):
        _ask("Model", None)
    assert capsys.readouterr().err.endswith("\n")


def test_in_a_terminal_it_lets_pick_from_lists_that_typing_filters(
    home: Path, provider: ScriptedProvider
) -> None:
    answers = [
        ("name of a preset:", f"{provider.url}\r"),
        ("not shown", f"{CANARY}\n"),
        ("small", "arg\r"),
        ("Add ", "y\n"),
    ]
    shown = _set_up_in_a_terminal(answers, home, TERM="xterm-256color")
    assert "openrouter" in shown or "type to filter" in shown
    assert "Model: large" in shown
    _is_set_up(shown, home, provider)


def _is_set_up(shown: str, home: Path, provider: ScriptedProvider) -> None:
    assert CANARY not in shown
    assert "holdfast session pin SESSION local/large" in shown
    assert provider.calls[0].model == "large"
    assert "anthropic-messages" in (home / "holdfast.toml").read_text()


def _set_up_in_a_terminal(answers: list[tuple[str, str]], home: Path, **more: str) -> str:
    """Run setup in a terminal of its own, giving each answer after its question. Return what it showed."""
    environment = child_environment(HOLDFAST_HOME=str(home), PATH=os.environ["PATH"], **more)
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [sys.executable, "-m", "holdfast", "setup"], environment)
    shown, unanswered, ends = b"", b"", time.monotonic() + 30
    while select.select([terminal], [], [], max(0.0, ends - time.monotonic()))[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the child has closed its terminal
            break
        shown, unanswered = shown + piece, unanswered + piece
        if answers and answers[0][0].encode() in unanswered:
            os.write(terminal, answers.pop(0)[1].encode())
            unanswered = b""
    os.close(terminal)
    text = shown.decode()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, text
    return text

"""`provider add` and `check` ask the provider's own host which other dialects it speaks, tell it line by
line, and offer the endpoints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.furnishing import CANARY, Cli, write
from holdfast.cli import output
from holdfast.cli.output import in_a_terminal
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status

ROUTES = {"/v1/chat/completions", "/anthropic/v1/messages", "/v1/responses"}
MISSING = {"error": {"message": "'messages' is missing", "type": "invalid_request_error", "code": None}}


def serving(*routes: str, auth: str = "authorization") -> Callable[[SeenRequest], Behaviour]:
    """A server of these routes; a Messages route takes its key in the header `auth` only."""

    def answer(seen: SeenRequest) -> Behaviour:
        if seen.path not in routes:
            return status(404, "404 page not found")
        if "messages" in seen.path and auth not in seen.headers:
            return status(401, {"error": {"message": "no key"}})
        if not (seen.asked.get("messages") or seen.asked.get("input")):
            return status(400, MISSING)
        return ok()

    return answer


@pytest.fixture
def server(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setenv("MIMO_KEY", CANARY)
    write(home / "holdfast.toml", "")
    with ScriptedProvider(serving(*ROUTES), models=["small"]) as provider:
        yield provider


def added(server: ScriptedProvider, *more: str) -> list[str]:
    return ["provider", "add", "mine", "--url", server.url, "--key", "env:MIMO_KEY", *more]


def endpoints(cli: Cli) -> dict[str, tuple[str, str]]:
    shown = json.loads(cli("provider", "show", "mine", "--json").stdout)
    return {each["dialect"]: (each["url"], each["auth"]) for each in shown["endpoints"]}


def test_a_new_provider_is_asked_only_in_a_terminal_or_when_told_to(
    cli: Cli, server: ScriptedProvider
) -> None:
    assert cli(*added(server)).exit_code == 0
    assert cli("provider", "remove", "mine").exit_code == 0
    assert cli(*added(server, "--no-probe")).exit_code == 0
    assert server.requests == []


def test_what_was_asked_is_told_line_by_line_and_the_command_that_adds_it_is_right(
    cli: Cli, server: ScriptedProvider
) -> None:
    lines = cli(*added(server, "--probe")).stdout.splitlines()
    root = server.root
    urls = f"openai-responses={root}/v1 anthropic-messages={root}/anthropic"
    command = f"holdfast provider endpoint mine {urls}"
    assert lines[1:6] == [
        f"  asked  openai-responses at {root}/v1: is spoken (HTTP 400)",
        f"  asked  anthropic-messages at {root}: is not spoken (HTTP 404)",
        f"  asked  anthropic-messages at {root}/anthropic: is spoken (HTTP 400)",
        f"  run: {command}   (adds it)",
        "  next: holdfast check mine",
    ]
    assert len(server.requests) == 5  # three, and one more for each that seems to speak
    assert all(not {"messages", "input"} & seen.asked.keys() for seen in server.requests)
    assert [*endpoints(cli)] == ["openai-chat"]
    assert cli(*command.split()[1:]).exit_code == 0
    assert [*endpoints(cli)] == ["openai-chat", "openai-responses", "anthropic-messages"]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_in_a_terminal_it_asks_before_it_adds(
    answer: str, cli: Cli, server: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("siblings", "provider_add"):
        monkeypatch.setattr(f"holdfast.cli.{module}.in_a_terminal", lambda: True)
    result = cli(*added(server, "--probe"), input=f"{answer}\n")
    assert "to provider 'mine'?" in result.stdout
    assert len(endpoints(cli)) == (3 if answer == "y" else 1)


def test_an_endpoint_gets_the_way_to_send_a_key_that_it_was_found_with(
    cli: Cli, server: ScriptedProvider
) -> None:
    server.follow(serving("/v1/chat/completions", "/v1/messages", auth="x-api-key"))
    assert "Added anthropic-messages" in cli(*added(server, "--yes")).stdout
    assert endpoints(cli) == {
        "openai-chat": (server.url, "bearer"),
        "anthropic-messages": (server.root, "x-api-key"),
    }
    assert cli("check", "mine/small", "--yes").exit_code == 0


def test_a_check_that_went_well_asks_too_and_adds_only_when_told_to(
    cli: Cli, server: ScriptedProvider
) -> None:
    assert cli(*added(server)).exit_code == 0
    assert [line.split()[1] for line in cli("check", "mine/small", "--no-probe").stdout.splitlines()] == [
        "resolve",
        "key",
        "models",
        "call",
    ]
    checked = cli("check", "mine/small")
    assert checked.exit_code == 0
    assert f"note   probe    anthropic-messages at {server.root}/anthropic: is spoken" in checked.stdout
    assert "run: holdfast provider endpoint mine" in checked.stdout
    report = json.loads(cli("check", "mine/small", "--json").stdout)
    assert (report["ok"], [step["note"] for step in report["steps"]][-3:]) == (True, [True] * 3)
    assert len(endpoints(cli)) == 1
    assert cli("check", "mine/small", "--json", "--yes").exit_code == 0
    assert len(endpoints(cli)) == 3
    before = len(server.requests)
    assert "probe" not in cli("check", "mine").stdout
    assert len(server.requests) == before + 3  # one list for each dialect


def test_a_check_that_failed_asks_nothing_more(cli: Cli, server: ScriptedProvider) -> None:
    assert cli(*added(server)).exit_code == 0
    server.follow(status(401))
    assert cli("check", "mine/small").exit_code == 4
    assert {seen.path for seen in server.calls} == {"/v1/chat/completions"}


def test_no_redirect_is_followed_and_no_other_port_sees_the_key(cli: Cli, server: ScriptedProvider) -> None:
    with ScriptedProvider() as other:
        server.follow(status(307, "", {"Location": f"{other.root}/v1/messages"}))
        assert "is not spoken (HTTP 307)" in cli(*added(server, "--yes")).stdout
        assert other.requests == []
    assert [*endpoints(cli)] == ["openai-chat"]


def test_a_server_that_says_the_same_everywhere_speaks_nothing_more(
    cli: Cli, server: ScriptedProvider
) -> None:
    server.follow(status(400, MISSING))
    assert cli(*added(server, "--yes")).stdout.count("is not spoken (HTTP 400)") == 5
    assert [*endpoints(cli)] == ["openai-chat"]


def test_a_host_that_cannot_be_reached_is_asked_once(cli: Cli, home: Path) -> None:
    write(home / "holdfast.toml", "")
    printed = cli(
        "provider", "add", "mine", "--url", "http://127.0.0.1:9/v1", "--auth", "none", "--yes"
    ).stdout
    assert printed.count("asked") == 1
    assert "not known now (no answer came)" in printed


def test_a_key_that_cannot_be_read_or_seems_misplaced_and_a_known_host_cost_no_request(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home / "holdfast.toml", "")
    asked: list[object] = []
    monkeypatch.setattr("holdfast.calls.siblings.call_control_plane", lambda *_, **__: asked.append(1))
    monkeypatch.setenv("PLAN", "sk-ant-0123456789abcdef")
    url = ["--url", "https://llm.example/v1"]
    assert cli("provider", "add", "a", *url, "--key", "env:NOT_SET", "--yes").exit_code == 0
    assert cli("provider", "add", "b", *url, "--key", "cmd:echo x", "--yes").exit_code == 0
    assert cli("provider", "add", "c", *url, "--yes").exit_code == 0
    known = ["--url", "https://api.deepseek.com"]
    monkeypatch.setenv("DEEP", CANARY)
    assert (
        "also speaks anthropic-messages"
        in cli("provider", "add", "d", *known, "--key", "env:DEEP", "--yes").stdout
    )
    wrong = ["--url", "https://api.x.ai/v1", "--key", "env:PLAN"]
    assert "may be in the wrong place" in cli("provider", "add", "e", *wrong, "--yes").stdout
    assert asked == []


def test_a_terminal_is_one_at_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class End:
        def __init__(self, is_one: bool) -> None:
            self.isatty = lambda: is_one

    for stdin, stdout in ((True, True), (True, False), (False, True)):
        monkeypatch.setattr(output.sys, "stdin", End(stdin))
        monkeypatch.setattr(output.sys, "stdout", End(stdout))
        assert in_a_terminal() is (stdin and stdout)

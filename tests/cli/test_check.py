"""`check` against real sockets: each step, what it teaches, and its exit code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.furnishing import CANARY, Cli, write
from holdfast.core.identity import Dialect
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, only_keys, status


@pytest.fixture
def provider(furnished: Path) -> Iterator[ScriptedProvider]:
    """`good` and `bad` on one server that accepts one key; `bad` has another one, `keyless` takes none."""
    with ScriptedProvider(only_keys(CANARY), models=["small", "large"]) as server:
        entries = f"""
[provider.good]
url  = "{server.url}"
keys = ["env:MIMO_KEY"]
[provider.bad]
url  = "{server.url}"
keys = ["env:BOTH_KEY"]
[provider.keyless]
url  = "{server.url}"
auth = "none"
[fallback]
"bad/small" = {{ then = ["good/small"] }}
"""
        write(furnished / "holdfast.toml", entries)
        yield server


def test_a_pin_that_works_is_shown_step_by_step(cli: Cli, provider: ScriptedProvider) -> None:
    result = cli("check", "good/small", "--no-probe")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split()[:2] for line in result.stdout.splitlines()] == [
        ["ok", step] for step in ("resolve", "key", "models", "call")
    ]
    assert "'small' is one of them" in result.stdout
    assert [call.model for call in provider.calls] == ["small"]
    assert "worked at 127.0.0.1" in cli("key", "list", "good").stdout


def test_a_diagnosis_says_whose_environment_holds_the_key_that_it_read(
    cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    assert "from env: in this shell" in cli("check", "good/small").stdout
    text = (
        "'MIMO_KEY' of provider 'good' can be read in this shell (a running gateway has its own environment)"
    )
    assert text in cli("doctor").stdout
    written = (furnished / "holdfast.toml").read_text("utf-8")
    write(furnished / "holdfast.toml", written.replace("env:MIMO_KEY", f"cmd:echo {CANARY}"))
    assert "in this shell" not in cli("check", "good/small").stdout


def test_a_check_leaves_no_session_behind_but_a_request_that_why_explains(
    cli: Cli, provider: ScriptedProvider
) -> None:
    report = json.loads(cli("check", "good/small", "--no-probe", "--json").stdout)
    assert report["ok"] is True
    assert json.loads(cli("session", "list", "--json").stdout) == []
    request = report["steps"][-1]["what"].rpartition("request ")[2]
    why = cli("why", request).stdout
    assert "attempt 1: key 'MIMO_KEY'" in why
    assert "from provider.good.url, holdfast.toml:3" in why


def test_a_refused_key_ends_with_4_and_no_fallback_answers(cli: Cli, provider: ScriptedProvider) -> None:
    result = cli("check", "bad/small")
    assert result.exit_code == 4
    assert "wrong  call     auth_rejected" in result.stdout
    assert "It has never worked there." in result.stderr
    assert result.stderr.splitlines()[-1] == "  run: holdfast key reset bad BOTH_KEY"
    assert len(provider.calls) == 1
    again = cli("check", "bad/small", "--json")
    assert (again.exit_code, json.loads(again.stdout)["ok"], len(provider.calls)) == (4, False, 1)
    assert json.loads(again.stderr)["error"]["kind"] == "Refused"
    unknown = cli("check", "none-such/small", "--json")
    assert (unknown.exit_code, json.loads(unknown.stdout)["ok"]) == (3, False)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"code": 401, "msg": "incorrect api key", "success": False}, "auth_rejected"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "quota_exhausted"),
        ({"choices": []}, "transient"),
        ({"type": "message", "content": [{"type": "text", "text": "ok"}]}, "endpoint_mismatch"),
    ],
)
def test_a_success_that_is_no_answer_fails_the_check(
    answer: object, kind: str, cli: Cli, provider: ScriptedProvider
) -> None:
    provider.follow(status(200, answer))
    result = cli("check", "good/small")
    assert result.exit_code == 4
    assert f"wrong  call     {kind}" in result.stdout
    assert "  worked at" not in cli("key", "list", "good").stdout


def test_a_provider_alone_is_checked_without_a_call(cli: Cli, provider: ScriptedProvider) -> None:
    result = cli("check", "good", "--no-probe")
    assert (result.exit_code, provider.calls) == (0, [])
    assert "2 listed" in result.stdout
    assert "good/large" in cli("models", "--provider", "good").stdout


def test_a_model_that_is_not_listed_is_reported_with_near_names(cli: Cli, provider: ScriptedProvider) -> None:
    assert "'smal' is not one of them; similar: small" in cli("check", "good/smal").stdout


def test_another_model_than_the_chosen_one_fails_the_check(cli: Cli, provider: ScriptedProvider) -> None:
    provider.follow(ok(model="huge"))
    result = cli("check", "good/small")
    assert (result.exit_code, "another model answered: 'huge', and '" in result.stdout) == (1, True)


def test_an_endpoint_that_takes_no_key_is_checked_without_one(cli: Cli, provider: ScriptedProvider) -> None:
    provider.follow(ok())
    assert cli("check", "keyless/small", "--no-probe").exit_code == 0
    assert [call.key for call in provider.calls] == [None]


def test_a_list_that_fails_costs_no_key_and_the_call_decides(
    cli: Cli, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.core.faults import Reply

    monkeypatch.setattr(
        "holdfast.calls.api_calls.list_models", lambda *_: Reply(401, body=b'{"error": "no list for you"}')
    )
    result = cli("check", "good/small")
    assert (result.exit_code, "listed no models: auth_rejected (HTTP 401)" in result.stdout) == (0, True)
    assert cli("check", "good").exit_code == 1
    listed = cli("models", "--provider", "good", "--refresh")
    assert (listed.exit_code, "holdfast: good: 127.0.0.1" in listed.stderr) == (1, True)
    assert "never worked" not in cli("key", "list", "good").stdout


@pytest.mark.parametrize("command", [["check", "good"], ["models", "--provider", "good", "--refresh"]])
def test_a_refused_list_is_read_with_the_vocabulary_of_its_host(
    command: list[str], cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    own = furnished / "profiles"
    own.mkdir()
    (own / "house.toml").write_text('hosts = ["127.0.0.1"]\n[codes]\nE77 = "quota_window key cause:lunch"\n')
    provider.models = None
    provider.follow([status(400, {"error": {"code": "E77", "message": "later"}})] * 2)
    result = cli(*command)
    assert "listed no models: quota_window (HTTP 400)" in result.stdout + result.stderr


def test_an_unknown_provider_ends_with_3_and_nothing_is_invented(
    cli: Cli, provider: ScriptedProvider
) -> None:
    result = cli("check", "goof")
    assert (result.exit_code, "did you mean 'good'?" in result.stderr, "any" in result.stderr) == (
        3,
        True,
        False,
    )
    assert result.stderr.splitlines()[-1] == "  run: holdfast provider list"


def test_a_refusal_without_a_session_is_explained_by_its_request(
    cli: Cli, provider: ScriptedProvider
) -> None:
    provider.follow(
        status(
            400, {"error": {"message": "Unknown parameter: 'max_tokens'", "type": "invalid_request_error"}}
        )
    )
    step = cli("check", "good/small").stderr.splitlines()[-1]
    command, _, request = step.rpartition(" ")
    assert (command, len(request)) == ("  run: holdfast why", 16)
    assert "attempt 1" in cli("why", request).stdout


def test_one_of_two_keys_that_cannot_be_read_fails_the_check_after_the_call(
    cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    write(
        furnished / "holdfast.toml",
        f'[provider.two]\nurl = "{provider.url}"\nkeys = ["env:MIMO_KEY", "env:UNSET"]\n',
    )
    result = cli("check", "two/small")
    assert result.exit_code == 1
    assert "wrong  key      'UNSET' cannot be read: env:UNSET: not set in this environment" in result.stdout
    assert "ok     call" in result.stdout


def test_a_key_that_cannot_be_read_in_time_is_passed_over(
    cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    entry = f'[provider.two]\nurl = "{provider.url}"\nkeys = ["cmd:sh -c \'exit 3\'", "env:MIMO_KEY"]\n'
    write(furnished / "holdfast.toml", entry)
    result = cli("check", "two/small")
    assert (result.exit_code, "answered" in result.stdout, [call.key for call in provider.calls]) == (
        1,
        True,
        [CANARY],
    )


def test_a_provider_without_keys_says_how_to_give_it_one(
    cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    write(furnished / "holdfast.toml", f'[provider.poor]\nurl = "{provider.url}"\n')
    result = cli("check", "poor/small")
    assert result.exit_code == 2


def test_a_failure_that_passes_is_retried_and_reported(cli: Cli, provider: ScriptedProvider) -> None:
    provider.follow([status(503), ok()])
    result = cli("check", "good/small")
    assert (result.exit_code, "after 2 requests" in result.stdout) == (0, True)


def test_a_server_that_is_not_there_ends_with_4_and_names_where_its_address_was_set(
    cli: Cli, furnished: Path
) -> None:
    with (furnished / "holdfast.toml").open("a") as file:
        at = "http://127.0.0.1:9"
        urls = f'openai-chat = "{at}/v1", anthropic-messages = "{at}", openai-responses = "{at}/v1"'
        file.write(f'[provider.gone]\nauth = "none"\nendpoints = {{ {urls} }}\n')
    result = cli("check", "gone/small")
    assert result.exit_code == 4
    assert "Nothing listens at http://127.0.0.1:9/v1 (set in provider.gone." in result.stderr
    assert "run: holdfast provider show gone" in result.stderr
    why = "127.0.0.1:9: connection refused"
    assert [re.split(r", request | \(Conn", line[16:])[0] for line in result.stdout.splitlines()[1:]] == [
        "openai-chat: 127.0.0.1:9 listed no models: connection refused",
        f"anthropic-messages: not asked: {why}",
        f"openai-responses: not asked: {why}",
        "connection refused in openai-chat",
        f"not made in anthropic-messages: {why}",
        f"not made in openai-responses: {why}",
    ]
    request = result.stdout.partition(", request ")[2].split()[0]
    assert "attempt 1: no key at 127.0.0.1:9: connection refused in" in cli("why", request).stdout


MISSING = status(
    404, {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}
)
DEAD = status(404, "404 page not found")


@pytest.mark.parametrize(
    ("other", "code", "line"),
    [
        (ok(), 0, "ok     call     anthropic-messages answered"),
        (MISSING, 0, "note   call     model_unavailable in anthropic-messages"),
        (DEAD, 4, "wrong  call     endpoint_mismatch in anthropic-messages"),
    ],
)
def test_each_dialect_is_called_and_the_one_that_is_dead_is_named(
    other: Behaviour, code: int, line: str, cli: Cli, provider: ScriptedProvider, furnished: Path
) -> None:
    def answered(seen: SeenRequest) -> Behaviour:
        return other if seen.dialect is Dialect.ANTHROPIC_MESSAGES else ok()

    provider.follow(answered)
    urls = f'openai-chat = "{provider.url}", anthropic-messages = "{provider.root}"'
    write(furnished / "holdfast.toml", f'[provider.two]\nendpoints = {{ {urls} }}\nkeys = ["env:MIMO_KEY"]\n')
    result = cli("check", "two/small", "--no-probe")
    assert (result.exit_code, line in result.stdout) == (code, True), result.output
    assert "ok     call     openai-chat answered" in result.stdout
    assert {call.dialect for call in provider.calls} == {Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES}
    set_up = cli("setup", "--url", provider.url, "--key", "env:MIMO_KEY", "--model", "small")
    assert (set_up.exit_code, "Ready." in set_up.stdout, line in set_up.stdout) == (0, True, True)


def test_a_model_that_no_dialect_has_fails_the_check(cli: Cli, provider: ScriptedProvider) -> None:
    provider.follow(MISSING)
    result = cli("check", "good/small", "--no-probe")
    assert (result.exit_code, "wrong  call     model_unavailable" in result.stdout) == (4, True)

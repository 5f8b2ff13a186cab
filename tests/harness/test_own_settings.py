"""Settings of the user's own that would win over a connection are refused before anything is changed, or told
where they count only here."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.furnishing import Cli, contents, write
from holdfast.harness import HARNESSES, attach, claude_settings, codex_settings, opencode_settings
from holdfast.harness.base import ConnectOffer
from holdfast.harness.own_settings import Effect, in_the_way

CONFIG = """\
[gateway]
listen = "127.0.0.1:4555"
[provider.p]
models = ["m"]
keys = ["env:P"]
[provider.p.endpoints]
openai-chat = "https://p.example/v1"
openai-responses = "https://p.example/v1"
anthropic-messages = "https://p.example"
"""
CLAUDE, OPENCODE = ".claude/settings.json", ".config/opencode/opencode.jsonc"
PROJECT = "project"
"""The directory in which the command runs."""


def env(**variables: str) -> dict[str, object]:
    return {"env": variables}


OTHER = {"provider": {"holdfast": {"options": {"headers": {"Authorization": "Bearer x"}}}}}
# (program, file, its content, the setting that is named)
REFUSED: list[tuple[str, str, object, str]] = [
    *(
        ("claude", CLAUDE, env(**{f"CLAUDE_CODE_USE_{cloud}": value}), f"env.CLAUDE_CODE_USE_{cloud}")
        for cloud in ("BEDROCK", "MANTLE", "ANTHROPIC_AWS", "VERTEX", "ANTHROPIC_GOOGLE_CLOUD", "FOUNDRY")
        for value in ("1", "true")
    ),
    ("claude", CLAUDE, env(ANTHROPIC_AUTH_TOKEN="x", ANTHROPIC_API_KEY="x"), "env.ANTHROPIC_AUTH_TOKEN"),
    ("claude", CLAUDE, env(HTTP_PROXY="http://proxy.example:3128"), "env.HTTP_PROXY"),
    ("claude", CLAUDE, env(https_proxy="http://proxy.example:3128", NO_PROXY="a.example"), "env.https_proxy"),
    ("claude", "managed.json", env(ANTHROPIC_BASE_URL="https://x.example"), "env.ANTHROPIC_BASE_URL"),
    ("claude", "managed.json", {"apiKeyHelper": "x"}, "apiKeyHelper"),
    ("claude", "managed.d/10.json", {"apiKeyHelper": "x"}, "apiKeyHelper"),
    ("opencode", OPENCODE, {"enabled_providers": ["work"]}, "enabled_providers"),
    ("opencode", ".config/opencode/config.json", {"enabled_providers": []}, "enabled_providers"),
    ("opencode", OPENCODE, {"disabled_providers": ["x", "holdfast"]}, "disabled_providers"),
    ("opencode", ".config/opencode/config.json", {"disabled_providers": ["holdfast"]}, "disabled_providers"),
    ("opencode", ".config/opencode/config.json", OTHER, "provider"),
    ("opencode", "by-variable.json", OTHER, "provider"),
    ("opencode", "managed/opencode/opencode.json", {"enabled_providers": ["work"]}, "enabled_providers"),
    ("kilo", ".config/kilo/opencode.jsonc", {"enabled_providers": ["work"]}, "enabled_providers"),
    ("kilo", "managed/kilo/kilo.json", OTHER, "provider"),
    ("pi", ".pi/agent/auth.json", {"holdfast": {"type": "api_key", "key": "x"}}, "holdfast"),
    ("codex", ".codex/config.toml", '[model_providers.holdfast]\nenv_key = "X"\n', "model_providers"),
    ("codex", "managed.toml", 'model_provider = "x"\n', "model_provider"),
]
TOLD: list[tuple[str, str, object, str]] = [
    ("claude", CLAUDE, env(ANTHROPIC_API_KEY="x"), "env.ANTHROPIC_API_KEY"),
    ("claude", CLAUDE, env(ANTHROPIC_AUTH_TOKEN="x"), "env.ANTHROPIC_AUTH_TOKEN"),
    ("claude", CLAUDE, env(ANTHROPIC_CUSTOM_HEADERS="a: b\nX-Api-Key: x"), "env.ANTHROPIC_CUSTOM_HEADERS"),
    ("claude", CLAUDE, env(ANTHROPIC_MODEL="claude-opus-4-8"), "env.ANTHROPIC_MODEL"),
    ("claude", CLAUDE, env(ANTHROPIC_DEFAULT_HAIKU_MODEL="glm-4.5-air"), "env.ANTHROPIC_DEFAULT_HAIKU_MODEL"),
    ("claude", CLAUDE, {"model": "opus"}, "model"),
    ("claude", CLAUDE, {"availableModels": ["opus"]}, "availableModels"),
    ("claude", CLAUDE, {"forceLoginMethod": "claudeai"}, "forceLoginMethod"),
    ("claude", f"{PROJECT}/{CLAUDE}", env(ANTHROPIC_BASE_URL="https://x.example"), "env.ANTHROPIC_BASE_URL"),
    ("claude", f"{PROJECT}/{CLAUDE}", env(CLAUDE_CODE_USE_VERTEX="1"), "env.CLAUDE_CODE_USE_VERTEX"),
    ("claude", f"{PROJECT}/.claude/settings.local.json", {"apiKeyHelper": "x"}, "apiKeyHelper"),
    ("opencode", OPENCODE, {"model": "work/x"}, "model"),
    ("opencode", OPENCODE, {"small_model": "work/x"}, "small_model"),
    ("opencode", f"{PROJECT}/opencode.json", {"enabled_providers": ["work"]}, "enabled_providers"),
    ("opencode", f"{PROJECT}/.opencode/opencode.jsonc", OTHER, "provider"),
    ("kilo", f"{PROJECT}/.kilocode/kilo.json", OTHER, "provider"),
    ("kilo", f"{PROJECT}/opencode.json", {"enabled_providers": ["work"]}, "enabled_providers"),
    ("codex", ".codex/config.toml", 'profile = "work"\n', "profile"),
    ("codex", f"{PROJECT}/.codex/config.toml", 'model = "x"\nmodel_provider = "x"\n', "model"),
    ("codex", ".codex/config.toml", '[profiles.holdfast]\nmodel = "x"\n', "profiles"),
]
# Settings of the same names that win over nothing.
FINE: list[tuple[str, str, object]] = [
    (
        "claude",
        CLAUDE,
        env(CLAUDE_CODE_USE_BEDROCK="0", CLAUDE_CODE_USE_VERTEX="false", ANTHROPIC_API_KEY=""),
    ),
    ("claude", CLAUDE, env(HTTP_PROXY="http://proxy.example:3128", NO_PROXY="localhost, 127.0.0.1")),
    ("claude", CLAUDE, env(HTTP_PROXY="", ANTHROPIC_CUSTOM_HEADERS="x-team: a")),
    ("claude", CLAUDE, env(ANTHROPIC_MODEL="p/m") | {"availableModels": ["p/m", "opus"]}),
    ("claude", CLAUDE, {"model": 3, "apiKeyHelpers": "x"}),
    ("claude", f"{PROJECT}/{CLAUDE}", {"permissions": {}}),
    ("opencode", OPENCODE, {"enabled_providers": ["work", "holdfast"], "disabled_providers": ["work"]}),
    ("opencode", OPENCODE, {"model": "holdfast/p/m", "provider": {"work": {}}}),
    ("opencode", ".config/opencode/config.json", "[1]"),
    ("opencode", f"{PROJECT}/opencode.json", "{broken"),
    ("pi", ".pi/agent/auth.json", {"openai": {"type": "api_key", "key": "x"}}),
    (
        "codex",
        ".codex/config.toml",
        'model = "gpt-5"\nmodel_provider = "w"\n[model_providers.w]\nname = "w"\n',
    ),
    (
        "codex",
        ".codex/config.toml",
        'forced_login_method = "chatgpt"\nopenai_base_url = "https://x.example"\n',
    ),
    ("codex", ".codex/config.toml", "broken = ["),
]
SHELL: list[tuple[str, str, str]] = [
    ("claude", "ANTHROPIC_AUTH_TOKEN", "x"),
    ("claude", "ANTHROPIC_API_KEY", "x"),
    ("claude", "CLAUDE_CODE_USE_FOUNDRY", "1"),
    ("claude", "ANTHROPIC_MODEL", "claude-opus-4-8"),
    ("claude", "HTTPS_PROXY", "http://proxy.example:3128"),
    ("opencode", "OPENCODE_CONFIG_CONTENT", json.dumps({"enabled_providers": ["work"]})),
    ("kilo", "KILO_CONFIG_CONTENT", json.dumps({"enabled_providers": ["work"]})),
]
Furnish = Callable[[str, object], Path]


@pytest.fixture
def furnish(home: Path, monkeypatch: pytest.MonkeyPatch) -> Furnish:
    """Writes a file below the user's HOME, beside a Holdfast home, for programs that know where to look."""
    write(home / "holdfast.toml", CONFIG)
    project = home.parent / PROJECT
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("OPENCODE_CONFIG", str(home.parent / "by-variable.json"))
    monkeypatch.setattr(claude_settings, "_MANAGED", (str(home.parent / "managed.json"),))
    monkeypatch.setattr(opencode_settings, "_MANAGED", home.parent / "managed")
    monkeypatch.setattr(codex_settings, "_MANAGED", home.parent / "managed.toml")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    def furnished(name: str, content: object) -> Path:
        path = home.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return furnished


def found(program: str, pin: str = "") -> list[tuple[Effect, str]]:
    """What is in the way of a connection of this program: the effect, and which file sets what."""
    harness = HARNESSES[program]
    assert harness.attach is not None
    assert harness.settings is not None
    models = tuple(("p/m", dialect) for dialect in harness.speaks[:1])
    attachment = harness.attach(ConnectOffer("http://127.0.0.1:4555", "/t", ("show", "/t"), models, pin))
    path = attach.config_path(attachment, os.environ)
    ours = attach.ours(attachment, path, "http://127.0.0.1:4555", pin)
    ways = in_the_way(harness.settings, ours, os.environ, Path.cwd())
    return [(way.effect, way.text.partition(": ")[0]) for way in ways]


@pytest.mark.parametrize(("effect", "rows"), [(Effect.REFUSE, REFUSED), (Effect.TELL, TOLD)])
def test_a_setting_that_wins_is_found_with_its_file_and_its_effect(
    effect: Effect, rows: list[tuple[str, str, object, str]], furnish: Furnish
) -> None:
    wrong = []
    for program, name, content, setting in rows:
        path = furnish(name, content)
        ways = found(program)
        path.unlink()
        if (effect, f"{path} sets {setting}") not in ways or ways[0][0] is not effect:
            wrong.append((program, name, content, ways))
    assert wrong == []


def test_a_setting_that_wins_over_nothing_is_not_found(furnish: Furnish) -> None:
    wrong = []
    for program, name, content in FINE:
        path = furnish(name, content)
        ways = found(program)
        path.unlink()
        if ways:
            wrong.append((program, name, content, ways))
    assert wrong == []


FIRST = {row[0]: row for row in reversed(REFUSED)}


@pytest.mark.parametrize("program", sorted(FIRST))
def test_a_setting_that_would_win_everywhere_is_refused_before_anything_is_changed(
    program: str, cli: Cli, furnish: Furnish, home: Path
) -> None:
    _, name, content, setting = FIRST[program]
    path = furnish(name, content)
    before = contents(home.parent)
    result = cli("connect", program)
    assert result.exit_code == 2
    assert f"{path} sets {setting}: " in result.stderr
    after = contents(home.parent)
    assert {name: after[name] for name in before} == before
    assert [name for name in after.keys() - before.keys() if "state.db" not in name] == []


def test_a_setting_that_wins_in_part_is_told_by_connect(cli: Cli, furnish: Furnish) -> None:
    path = furnish(CLAUDE, {"model": "opus"})
    result = cli("connect", "claude")
    assert (result.exit_code, f"holdfast: {path} sets model: it begins with" in result.stderr) == (0, True)


def test_a_variable_of_this_shell_is_told_without_its_value(
    cli: Cli, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program, variable, value in SHELL:
        with monkeypatch.context() as patch:
            patch.setenv(variable, value)
            ((effect, text),) = found(program)
            assert (effect, text.startswith("this shell sets "), value in text) == (Effect.TELL, True, False)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-canary-shell-93b1f0d2e7")
    result = cli("connect", "claude")
    assert result.exit_code == 0
    assert "this shell sets ANTHROPIC_AUTH_TOKEN" in result.stderr
    assert "canary-shell" not in result.stderr + result.stdout


def test_two_keys_of_the_user_s_are_one_thing_in_the_way(furnish: Furnish) -> None:
    path = furnish(CLAUDE, env(ANTHROPIC_AUTH_TOKEN="x", ANTHROPIC_API_KEY="x"))
    assert found("claude") == [(Effect.REFUSE, f"{path} sets env.ANTHROPIC_AUTH_TOKEN")]


def test_a_pin_that_the_program_would_replace_is_refused(furnish: Furnish) -> None:
    path = furnish(CLAUDE, {"availableModels": ["opus", "p/other"]})
    assert found("claude", "p/m") == [(Effect.REFUSE, f"{path} sets availableModels")]
    furnish(CLAUDE, {"availableModels": ["opus", "p/m"]})
    assert found("claude", "p/m") == []


def test_a_pin_to_begin_with_wins_over_the_model_of_its_user(furnish: Furnish) -> None:
    furnish(CLAUDE, {"model": "opus"})
    assert found("claude", "p/m") == []


def test_doctor_says_when_a_setting_came_in_the_way_afterwards(cli: Cli, furnish: Furnish) -> None:
    path = furnish(".config/opencode/opencode.json", {})
    assert cli("connect", "opencode").exit_code == 0
    furnish(".config/opencode/config.json", {"enabled_providers": ["work"]})
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    (finding,) = [finding for finding in findings if finding["check"] == "connect"]
    other = path.parent / "config.json"
    assert (finding["level"], finding["run"]) == ("wrong", f"${{EDITOR:-vi}} {other}")
    assert finding["what"].startswith(f"opencode does not use the gateway: {other} sets enabled_providers: ")


def test_doctor_notes_a_setting_that_wins_in_part(cli: Cli, furnish: Furnish) -> None:
    path = furnish(CLAUDE, env(ANTHROPIC_AUTH_TOKEN="x"))
    assert cli("connect", "claude").exit_code == 0
    findings = json.loads(cli("doctor", "--json").stdout)["findings"]
    noted = [
        (item["level"], item["what"].partition(" sets")[0]) for item in findings if item["check"] == "connect"
    ]
    assert noted == [("ok", "claude is connected to the gateway"), ("note", f"claude: {path}")]


def test_a_connection_that_is_refused_keeps_the_earlier_one(cli: Cli, furnish: Furnish, home: Path) -> None:
    assert cli("connect", "pi").exit_code == 0
    furnish(".pi/agent/auth.json", {"holdfast": {"type": "api_key", "key": "x"}})
    before = contents(home.parent)
    assert cli("connect", "pi").exit_code == 2
    assert contents(home.parent) == before

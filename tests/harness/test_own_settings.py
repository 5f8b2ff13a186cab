"""Settings of the user's own that would win over a connection are refused before anything is changed, or told
where they count only here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.furnishing import Cli, contents, write
from holdfast.harness import claude_settings, codex_settings

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
    ("opencode", OPENCODE, {"enabled_providers": ["work"]}, "enabled_providers"),
    ("opencode", ".config/opencode/config.json", {"enabled_providers": []}, "enabled_providers"),
    ("opencode", OPENCODE, {"disabled_providers": ["x", "holdfast"]}, "disabled_providers"),
    ("opencode", ".config/opencode/config.json", {"disabled_providers": ["holdfast"]}, "disabled_providers"),
    ("opencode", ".config/opencode/opencode.json", OTHER, "provider"),
    ("opencode", ".config/opencode/config.json", OTHER, "provider"),
    ("opencode", "by-variable.json", OTHER, "provider"),
    ("pi", ".pi/agent/auth.json", {"holdfast": {"type": "api_key", "key": "x"}}, "holdfast"),
    ("codex", ".codex/config.toml", '[model_providers.holdfast]\nenv_key = "X"\n', "model_providers"),
    ("codex", "managed.toml", 'model_provider = "x"\n', "model_provider"),
]
TOLD: list[tuple[str, str, object, str]] = [
    ("claude", CLAUDE, env(ANTHROPIC_API_KEY="x"), "env.ANTHROPIC_API_KEY"),
    ("claude", CLAUDE, env(ANTHROPIC_AUTH_TOKEN="x"), "env.ANTHROPIC_AUTH_TOKEN"),
    ("claude", CLAUDE, env(ANTHROPIC_CUSTOM_HEADERS="a: b\nX-Api-Key: x"), "env.ANTHROPIC_CUSTOM_HEADERS"),
    ("claude", CLAUDE, env(ANTHROPIC_MODEL="claude-opus-4-8"), "env.ANTHROPIC_MODEL"),
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
    monkeypatch.setattr(codex_settings, "_MANAGED", home.parent / "managed.toml")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    def furnished(name: str, content: object) -> Path:
        path = home.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return furnished


@pytest.mark.parametrize(("program", "name", "content", "setting"), REFUSED)
def test_a_setting_that_would_win_everywhere_is_refused_before_anything_is_changed(
    program: str, name: str, content: object, setting: str, cli: Cli, furnish: Furnish, home: Path
) -> None:
    path = furnish(name, content)
    before = contents(home.parent)
    result = cli("connect", program)
    assert result.exit_code == 2
    assert f"{path} sets {setting}: " in result.stderr or "settings of yours" in result.stderr
    after = contents(home.parent)
    assert {name: after[name] for name in before} == before
    assert [name for name in after.keys() - before.keys() if "state.db" not in name] == []


@pytest.mark.parametrize(("program", "name", "content", "setting"), TOLD)
def test_a_setting_that_wins_in_part_or_only_here_is_told(
    program: str, name: str, content: object, setting: str, cli: Cli, furnish: Furnish
) -> None:
    path = furnish(name, content)
    result = cli("connect", program)
    assert result.exit_code == 0, result.stderr
    assert [line.partition(": ")[2].partition(": ")[0] for line in result.stderr.splitlines()] == [
        f"{path} sets {setting}"
    ]


@pytest.mark.parametrize(("program", "name", "content"), FINE)
def test_a_setting_that_wins_over_nothing_is_not_mentioned(
    program: str, name: str, content: object, cli: Cli, furnish: Furnish
) -> None:
    furnish(name, content)
    result = cli("connect", program)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(("program", "variable", "value"), SHELL)
def test_a_variable_of_this_shell_is_told_without_its_value(
    program: str, variable: str, value: str, cli: Cli, furnish: Furnish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    result = cli("connect", program)
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert "this shell sets " in line
    assert value not in line


def test_a_pin_that_the_program_would_replace_is_refused(cli: Cli, furnish: Furnish) -> None:
    furnish(CLAUDE, {"availableModels": ["opus", "p/other"]})
    refused = cli("connect", "claude", "--pin", "p/m")
    assert (refused.exit_code, "sets availableModels: " in refused.stderr) == (2, True)
    furnish(CLAUDE, {"availableModels": ["opus", "p/m"]})
    assert cli("connect", "claude", "--pin", "p/m").exit_code == 0


def test_a_pin_to_begin_with_wins_over_the_model_of_its_user(cli: Cli, furnish: Furnish) -> None:
    furnish(CLAUDE, {"model": "opus"})
    assert cli("connect", "claude", "--pin", "p/m").stderr == ""


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

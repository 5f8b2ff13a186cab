"""Installed programs that `holdfast connect` pointed to a running gateway: they use it, and forget it again
to the last byte."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import programs
import pytest
from stage import CHAT, KEY, MESSAGES, RESPONSES, Stage

from holdfast.core.identity import Dialect

PIN = "mimo-plan/good-model"
USES: dict[str, tuple[Dialect, tuple[str, ...], str]] = {
    "pi": (CHAT, ("pi", "--provider", "holdfast", "--model", PIN, "-p", "Say pong."), ".pi/agent"),
    "claude": (MESSAGES, ("claude", "-p", "Say pong."), ".claude"),
    "codex": (
        RESPONSES,
        ("codex", "exec", "--profile", "holdfast", "--skip-git-repo-check", "Say pong."),
        ".codex",
    ),
    "opencode": (CHAT, ("opencode", "run", "--model", f"holdfast/{PIN}", "Say pong."), ".config/opencode"),
    "kilo": (CHAT, ("kilo", "run", "--model", f"holdfast/{PIN}", "Say pong."), ".config/kilo"),
}


@contextmanager
def serving(on_stage: Stage, program: str) -> Iterator[str]:
    """The gateway of the stage's home; its address is written into the configuration."""
    environment = on_stage.environment(program)
    command = ["holdfast", "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            config = on_stage.home / "holdfast.toml"
            config.write_text(f'[gateway]\nlisten = "{url.removeprefix("http://")}"\n{config.read_text()}')
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


def contents(folder: Path) -> dict[str, bytes]:
    return (
        {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if folder.exists()
        else {}
    )


@pytest.mark.parametrize("program", [*USES])
def test_a_connected_program_uses_the_gateway_by_reference_and_forgets_it_without_a_trace(
    program: str, on_stage: Stage
) -> None:
    dialect, command, where = USES[program]
    on_stage.configure(dialect)
    environment = on_stage.environment(program)
    folder = on_stage.folder / "home" / where
    before = contents(folder)
    with serving(on_stage, program):
        connected = on_stage.start(["holdfast", "connect", program, "--pin", PIN], environment)
        assert connected.code == 0, connected.err
        written = contents(folder)
        ended = on_stage.start(
            [*command],
            {name: value for name, value in environment.items() if name not in ("MIMO_KEY", "HOLDFAST_HOME")},
        )
        assert ended.code == 0, ended.err
        assert {(call.key, call.model) for call in on_stage.provider.calls} == {(KEY, "good-model")}
        assert on_stage.files_with_key() == []
    added = [name for name in written if name not in before]
    assert on_stage.start(["holdfast", "disconnect", program], environment).code == 0
    after = contents(folder)
    # opencode adds its schema to a file that it reads: what it wrote is its own.
    assert not [name for name in added if b"holdfast" in after.get(name, b"").lower()]


@pytest.mark.drives(*programs.environments("pi"))
def test_pi_s_own_picker_shows_the_gateway_s_list(on_stage: Stage) -> None:
    on_stage.configure(CHAT)
    environment = on_stage.environment("pi")
    with serving(on_stage, "pi"):
        on_stage.start(["holdfast", "connect", "pi"], environment)
        listed = on_stage.start(["pi", "--list-models", "good"], environment)
    assert PIN in listed.out + listed.err


def env(**variables: str) -> dict[str, object]:
    return {"env": variables}


# (program, file below HOME, settings that its user adds, whether the gateway is still asked)
OWN: list[tuple[str, str, dict[str, object], bool]] = [
    ("claude", ".claude/settings.json", env(CLAUDE_CODE_USE_BEDROCK="1", AWS_REGION="us-east-1"), False),
    ("claude", ".claude/settings.json", env(CLAUDE_CODE_USE_VERTEX="1"), False),
    ("claude", ".claude/settings.json", env(CLAUDE_CODE_USE_FOUNDRY="1"), False),
    ("claude", ".claude/settings.json", env(ANTHROPIC_AUTH_TOKEN="of-the-user"), True),
    (
        "claude",
        ".claude/settings.json",
        env(ANTHROPIC_AUTH_TOKEN="of-him", ANTHROPIC_API_KEY="of-her"),
        False,
    ),
    ("claude", ".claude/settings.json", env(HTTPS_PROXY="http://127.0.0.1:1"), False),
    ("claude", ".claude/settings.json", env(HTTPS_PROXY="http://127.0.0.1:1", NO_PROXY="127.0.0.1"), True),
    ("claude", ".claude/settings.json", env(CLAUDE_CODE_USE_BEDROCK="0"), True),
    ("claude", ".claude/settings.json", env(ANTHROPIC_API_KEY="of-the-user"), True),
    ("claude", ".claude/settings.json", {"forceLoginMethod": "claudeai", "model": "opus"}, True),
    ("opencode", ".config/opencode/config.json", {"enabled_providers": ["work"]}, False),
    ("opencode", ".config/opencode/config.json", {"disabled_providers": ["holdfast"]}, False),
    ("opencode", ".config/opencode/config.json", {"enabled_providers": ["work", "holdfast"]}, True),
    (
        "opencode",
        ".config/opencode/config.json",
        {"provider": {"holdfast": {"options": {"headers": {"Authorization": "Bearer of-the-user"}}}}},
        False,
    ),
    ("kilo", ".config/kilo/opencode.json", {"enabled_providers": ["work"]}, False),
    ("kilo", ".config/kilo/config.json", {"disabled_providers": ["holdfast"]}, False),
    ("kilo", ".config/kilo/config.json", {"enabled_providers": ["work", "holdfast"]}, True),
    ("pi", ".pi/agent/auth.json", {"holdfast": {"type": "api_key", "key": "of-the-user"}}, False),
]


@pytest.mark.parametrize(("program", "name", "settings", "works"), OWN)
def test_what_is_said_about_settings_of_its_user_is_what_the_program_does(
    program: str, name: str, settings: dict[str, object], works: bool, on_stage: Stage
) -> None:
    dialect, command, _ = USES[program]
    on_stage.configure(dialect)
    environment = on_stage.environment(program) | {"CLAUDE_CODE_MAX_RETRIES": "0"}
    with serving(on_stage, program):
        assert on_stage.start(["holdfast", "connect", program, "--pin", PIN], environment).code == 0
        path = on_stage.folder / "home" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(path.read_text()) if path.exists() else {}
        joined = {**before, **settings}
        if "env" in settings and "env" in before:
            joined["env"] = {**before["env"], **settings["env"]}  # type: ignore[dict-item]
        path.write_text(json.dumps(joined))
        doctor = on_stage.start(["holdfast", "doctor"], environment)
        with contextlib.suppress(
            subprocess.TimeoutExpired
        ):  # opencode waits for a provider that is not there
            on_stage.start([*command], environment, seconds=45.0)
    assert bool(on_stage.provider.calls) is works
    refused = [
        line for line in doctor.out.splitlines() if line.startswith("wrong") and f"{path} sets " in line
    ]
    assert bool(refused) is not works

"""`holdfast import claude`: what wins over the user's settings, and what sends every request elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.harness import claude_settings
from holdfast.importers import claude

KEY = "sk-ant-FAKE0123456789abcdef"


def settings(file: Path, **env: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"env": env}), "utf-8")
    return file


def test_a_file_beside_the_managed_one_wins_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    managed = settings(tmp_path / "managed.json", ANTHROPIC_BASE_URL="https://managed.example")
    monkeypatch.setattr(claude_settings, "_MANAGED", (str(managed),))
    user = settings(
        tmp_path / "settings.json", ANTHROPIC_BASE_URL="https://user.example", ANTHROPIC_API_KEY=KEY
    )
    assert claude.read(user, {}).entries[0].fields["url"] == "https://managed.example"

    settings(tmp_path / "managed.d" / "10.json", ANTHROPIC_BASE_URL="https://last.example")
    assert claude.read(user, {}).entries[0].fields["url"] == "https://last.example"


@pytest.mark.parametrize("switch", claude_settings.CLOUDS)
def test_no_key_is_carried_while_a_cloud_is_asked(
    switch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claude_settings, "_MANAGED", ())
    user = settings(tmp_path / "settings.json", ANTHROPIC_API_KEY=KEY, **{switch: "1"})
    result = claude.read(user, {})
    assert not result.entries
    assert claude_settings.CLOUDS[switch] in str(result.left_out)

    settings(user, ANTHROPIC_API_KEY=KEY, **{switch: "off"})
    assert [str(entry.name) for entry in claude.read(user, {}).entries] == ["anthropic"]

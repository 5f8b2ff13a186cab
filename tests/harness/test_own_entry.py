"""An entry that leads back to our own gateway is known as such by every mark that it can have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.furnishing import Cli, write
from holdfast.harness import HARNESSES, jsonc
from holdfast.harness.base import TOKEN
from holdfast.harness.own_entry import is_own_gateway
from holdfast.importers.programs import PROGRAMS
from holdfast.values.secret import Secret

ROOT = "http://127.0.0.1:4555"
TOKEN_OF_OURS = "hf-ab12cd-" + "x" * 43
CONFIG = f"""\
[gateway]
listen = "{ROOT.removeprefix("http://")}"
[provider.p]
models = ["m"]
keys = ["env:P"]
[provider.p.endpoints]
openai-chat = "https://p.example/v1"
openai-responses = "https://p.example/v1"
anthropic-messages = "https://p.example"
"""


@pytest.mark.parametrize("name", sorted(name for name, program in HARNESSES.items() if program.attach))
def test_what_connect_writes_is_known_by_its_key_alone(name: str, cli: Cli, home: Path) -> None:
    write(home / "holdfast.toml", CONFIG)
    assert cli("connect", name).exit_code == 0
    receipt = json.loads((home / "connected" / f"{name}.json").read_text())
    written = Path(receipt["path"]).read_text()
    keys = [written]
    if name != "codex":
        keys = [key for key in texts(jsonc.parse(written)) if "token" in key]
    assert keys
    assert all(is_own_gateway("https://elsewhere.example/v1", key) for key in keys)


@pytest.mark.parametrize(
    "name", sorted(name for name in PROGRAMS if getattr(HARNESSES.get(name), "attach", None))
)
def test_what_connect_writes_is_not_imported_again(name: str, cli: Cli, home: Path) -> None:
    write(home / "holdfast.toml", CONFIG)
    assert cli("connect", name).exit_code == 0
    imported = cli("import", name)
    assert "it is the gateway of Holdfast itself" in imported.stdout + imported.stderr
    assert "[provider." not in imported.stdout


def texts(value: object) -> list[str]:
    """Every text of a document."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("url", "key"),
    [
        (ROOT, None),
        (f"{ROOT}/", "sk-any"),
        (f"{ROOT}/v1", Secret("sk-any-key")),
        (f"{ROOT}/v1/", ""),
        ("http://localhost:4555/v1", None),
        ("http://127.0.0.1:9/v1", TOKEN_OF_OURS),
        ("http://localhost:9", Secret(TOKEN_OF_OURS)),
        ("", f"${TOKEN}"),
        ("https://x.example", f"{{env:{TOKEN}}}"),
    ],
)
def test_an_entry_that_leads_to_us_is_our_own(url: str, key: str | Secret | None) -> None:
    assert is_own_gateway(url, key, [ROOT])


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("", None),
        ("http://127.0.0.1:4556/v1", "sk-any-key"),
        ("http://localhost.example:4555/v1", None),
        ("http://127.0.0.1:45/v1", Secret("sk-any-key")),
        ("https://gateway.example/v1", TOKEN_OF_OURS),
        ("https://gateway.example/v1", Secret(TOKEN_OF_OURS)),
        ("https://holdfast.example/v1", "$MY_HOLDFAST_TOKENS"),
        ("https://x.example/v1", "{file:~/connected/other.txt}"),
    ],
)
def test_another_entry_is_a_provider(url: str, key: str | Secret | None) -> None:
    assert not is_own_gateway(url, key, [ROOT])

"""hermes-agent 0.19.0 is the judge of the import: for each home of tests/data/imports it says itself which
URL and key it takes for the default, for every entry and for each of its own providers with a key. Whatever
has a key there is imported at that very URL with that very key, or not at all."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import real

from holdfast.importers import hermes
from holdfast.importers.addresses import canonical
from holdfast.importers.hermes_home import HermesHome, read_home
from holdfast.values.secret import Secret

CASES = Path(__file__).parents[2] / "tests" / "data" / "imports"
NAMES = sorted(path.parent.name for path in CASES.glob("hermes-*/expected.json"))
PLACEHOLDERS = ("", "no-key-required", "aws-sdk")
PROBES_ITS_URL = ("zai",)
"""Providers whose URL hermes finds by asking them, which no test does."""
NOT_CARRIED = {
    "hermes-two-urls-for-a-known-provider": "hermes takes one or the other",
    "hermes-own-provider-under-an-alias-with-a-url": "hermes ignores the URL that the user wrote",
    "hermes-anthropic-with-a-stale-url": "hermes ignores the URL that the user wrote",
    "hermes-references-that-are-not-set": "hermes sends texts with references as they are",
    "hermes-side-tasks-with-keys": "the key is used at another URL, too",
    "hermes-github-token": "it needs a sign-in",
    "hermes-variables-that-entries-use": "the key is used at another URL, too",
}
"""Homes of which something that hermes resolves is left out, and why."""
pytestmark = pytest.mark.timeout(600)

RESOLVE = """
import json, sys
from hermes_cli.env_loader import load_hermes_dotenv
load_hermes_dotenv()
from hermes_cli.runtime_provider import resolve_runtime_provider
answers = {}
for name in json.load(sys.stdin):
    try:
        found = resolve_runtime_provider(requested=name or None)
        key = found.get("api_key")
        shown = key if isinstance(key, str) else ""
        answers[name] = [found.get("base_url") or "", shown, found.get("api_mode")]
    except Exception as error:
        answers[name] = [type(error).__name__, "", ""]
with open(sys.argv[1], "w") as out:
    json.dump(answers, out)
"""
DIALECTS = {
    "chat_completions": "openai-chat",
    "codex_responses": "openai-responses",
    "anthropic_messages": "anthropic-messages",
}


def asked_of(home: HermesHome) -> list[str]:
    """Return what a user may ask hermes for in this home: the default (""), each entry, each of its own
    providers whose key is in .env."""
    own = [home.own(name) for name in ("deepseek", "openrouter", "anthropic", "openai-api", "xiaomi")]
    named = [row.name for row in own if row is not None and home.set_names.intersection(row.env)]
    asked = ["", *(f"custom:{entry.name}" for entry in home.entries), *named]
    return [name for name in asked if (name or home.provider) not in PROBES_ITS_URL]


def imported(directory: Path, environ: dict[str, str]) -> set[tuple[tuple[str, str], str, str]]:
    """Return the pairs of the import: URL, value of a key, dialect."""
    pairs = set()
    for entry in hermes.read(directory, environ).entries:
        provider = entry.provider()
        for key, ours in zip(entry.keys, provider.keys, strict=True):
            for endpoint in ours.endpoints or provider.endpoints:
                for value in (key.secret, key.seen):
                    if isinstance(value, Secret):
                        where = canonical(endpoint.url, endpoint.dialect)
                        pairs.add((where, value.reveal(), str(endpoint.dialect)))
    return pairs


@pytest.mark.parametrize("name", NAMES)
def test_what_is_imported_is_what_hermes_resolves(name: str, tmp_path: Path) -> None:
    directory = tmp_path / "hermes"
    shutil.copytree(CASES / name / "f", directory)
    environ: dict[str, str] = json.loads((CASES / name / "expected.json").read_text("utf-8")).get("env", {})
    pairs = imported(directory, environ)
    home = read_home(directory, environ)
    asked, out = asked_of(home), tmp_path / "resolved.json"
    done = subprocess.run(
        [real.PYTHON, "-c", RESOLVE, str(out)],
        input=json.dumps(asked),
        env=real.environment(directory, **environ),
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.exists(), done.stderr[-2000:]
    answers: dict[str, list[Any]] = json.loads(out.read_text())
    wrong = []
    for called, (url, key, mode) in answers.items():
        if key in PLACEHOLDERS or "://" not in url:
            continue
        dialect = DIALECTS[mode]
        if (canonical(url, dialect), key, dialect) in pairs:
            continue
        known = [(where, ours) for where, value, ours in pairs if value == key]
        wrong.append(f"'{called}': hermes {url} {dialect}, we {known}")
    assert bool(wrong) == (name in NOT_CARRIED), wrong

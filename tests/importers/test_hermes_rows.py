"""Where a session of Hermes would go, and where it belongs: each row is one that hermes-agent wrote in
somebody's home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.importers.hermes_home import HermesHome, read_home
from holdfast.importers.hermes_rows import row_of
from holdfast.importers.hermes_verdicts import Verdict, judge
from importers.homes import SHARED, A, B, billed, hermes_home, stored

THREE = f"""\
model: {{default: big, provider: team-a}}
providers:
  team-a: {{api: {A}, key_env: TEAM_A_KEY}}
  team-b: {{api: {B}, key_env: TEAM_B_KEY, default_model: big}}
  slow:   {{api: {B}, key_env: SLOW_KEY, default_model: slow, transport: chat_completions}}
  claude: {{api: {B}, key_env: TEAM_B_KEY, transport: anthropic_messages, default_model: claude-1}}
"""
BARE_DEFAULT = (
    "model: {default: big, provider: custom, base_url: http://127.0.0.1:9109/v1,"
    " api_key: sk-in-the-model-block}\n"
)


SET = dict.fromkeys(
    ("TEAM_A_KEY", "TEAM_B_KEY", "SLOW_KEY", "DEEPSEEK_API_KEY", "OPENROUTER_API_KEY", "XAI_API_KEY"),
    "sk-of-somebody-0123456789",
)


def home_of(tmp_path: Path, config: str = THREE) -> HermesHome:
    return read_home(hermes_home(tmp_path / "hermes", config), SET)


def judged(home: HermesHome, row: dict[str, Any], chosen: str | None = None) -> Verdict:
    columns = {"source": "tui", "model": "big", **row}
    columns["model_config"] = (
        json.dumps(columns["model_config"])
        if isinstance(columns.get("model_config"), dict)
        else columns.get("model_config")
    )
    return judge(home, row_of(columns), chosen)


@pytest.mark.parametrize(
    ("row", "state", "today", "belongs"),
    [
        # NousResearch/hermes-agent#44022: only the billing class is left; the TUI takes today's default.
        (billed("s", A), "resumes", "team-a", "custom:team-a"),
        (billed("s", B), "wrong place", "team-a", "custom:team-b"),
        (billed("s", f"{B}/"), "wrong place", "team-a", "custom:team-b"),
        (billed("s", B.removesuffix("/v1")), "wrong place", "team-a", "custom:team-b"),
        # #44108: the class beside a URL; healed by hermes at the first entry there, whatever the model says.
        (stored("s", "custom", B), "resumes", "team-b", "custom:team-b"),
        (
            stored("s", "custom", B, model="slow", config={"model": "slow"}),
            "wrong place",
            "team-b",
            "custom:slow",
        ),
        # #102725: one URL, one model, two dialects.
        (
            stored("s", "custom", B, model="any", config={"api_mode": "anthropic_messages"}),
            "wrong place",
            "team-b",
            "custom:claude",
        ),
        (stored("s", "custom"), "cannot be told", "team-a", None),
        (stored("s", "auto"), "cannot be told", "whatever provider a key is found for", None),
        # The name is there.
        (stored("s", "custom:team-b", B), "resumes", "team-b", "custom:team-b"),
        (stored("s", "Team-B"), "resumes", "team-b", "custom:team-b"),
        (stored("s", "custom:team-b"), "resumes", "team-b", "custom:team-b"),
        # The entry was moved: its key would go to the old host.
        (stored("s", "custom:team-a", "http://127.0.0.1:9999/v1"), "cannot be told", "team-a", None),
        # The entry is gone: another one at its URL is another account.
        (
            stored("s", "custom:gone", A),
            "cannot be told",
            "nowhere: hermes refuses 'custom:gone', which is not an entry",
            None,
        ),
        (
            stored("s", "custom:gone"),
            "cannot be told",
            "nowhere: hermes refuses 'custom:gone', which is not an entry",
            None,
        ),
        # #101130, #90088: over ACP the class goes to OpenRouter's resolver, and its key to the stored URL.
        (
            stored("s", "custom", A, source="acp"),
            "wrong place",
            "OpenRouter, as there is no entry",
            "custom:team-a",
        ),
        (
            billed("s", A, source="acp", model_config={"cwd": "."}),
            "wrong place",
            "OpenRouter, as there is no entry",
            "custom:team-a",
        ),
        # Hermes's own providers keep their names, but for one: #57588.
        (
            {
                "id": "s",
                "model": "its-own",
                "billing_provider": "deepseek",
                "billing_base_url": "https://api.deepseek.com/v1",
            },
            "resumes",
            "deepseek",
            "deepseek",
        ),
        (
            {
                "id": "s",
                "model": "its/own",
                "billing_provider": "openrouter",
                "billing_base_url": "https://openrouter.ai/api/v1",
            },
            "wrong place",
            "team-a",
            "openrouter",
        ),
        (stored("s", "openrouter"), "resumes", "openrouter", "openrouter"),
        (stored("s", "openrouter", A), "cannot be told", "openrouter", None),
        (stored("s", "deepseek", "https://api.deepseek.com"), "resumes", "deepseek", "deepseek"),
        (
            stored("s", "gone", A),
            "cannot be told",
            "nowhere: hermes refuses 'gone', which is not an entry",
            None,
        ),
        (
            {"id": "s", "billing_provider": "openrouter", "billing_base_url": A},
            "resumes",
            "team-a",
            "custom:team-a",
        ),
        # What says nothing.
        ({"id": "s"}, "cannot be told", "team-a", None),
        ({"id": "s", "model_config": "not json"}, "cannot be told", "team-a", None),
        ({"id": "s", "model_config": "[1]"}, "cannot be told", "team-a", None),
        (
            {"id": "s", "model_config": "[" * 100_000, "started_at": "yesterday"},
            "cannot be told",
            "team-a",
            None,
        ),
        (stored("s", "openrouter", "http://[half"), "cannot be told", "openrouter", None),
        (stored("s", "custom", "http://[half"), "cannot be told", "team-a", None),
        (billed("s", B, model=None), "cannot be told", "team-a", None),
        (billed("s", "http://127.0.0.1:9999/v1"), "cannot be told", "team-a", None),
        # The gateway's own note of what ran, and of a fall-back that ran instead.
        (
            {"id": "s", "model_config": {"gateway_runtime": {"provider": "custom", "base_url": A}}},
            "resumes",
            "team-a",
            "custom:team-a",
        ),
        (
            {
                "id": "s",
                "model_config": {
                    "gateway_runtime": {"provider": "custom", "base_url": A, "fallback_active": True}
                },
            },
            "cannot be told",
            "team-a",
            None,
        ),
    ],
)
def test_a_row_resumes_goes_to_the_wrong_provider_or_is_unclear(
    tmp_path: Path, row: dict[str, Any], state: str, today: str, belongs: str | None
) -> None:
    verdict = judged(home_of(tmp_path), row)
    assert (str(verdict.state), verdict.today.provider, verdict.belongs) == (state, today, belongs)
    assert (verdict.config is not None) == (state == "wrong place")
    assert bool(verdict.why) == (state == "cannot be told")


@pytest.mark.parametrize("row", [billed("s", A), stored("s", "custom", A)])
def test_two_entries_at_one_url_are_never_guessed_between(tmp_path: Path, row: dict[str, Any]) -> None:
    verdict = judged(home_of(tmp_path, SHARED), row)
    assert (str(verdict.state), verdict.candidates, verdict.config) == (
        "cannot be told",
        ("team-a", "team-b"),
        None,
    )


def test_the_user_decides_between_two_entries_at_one_url(tmp_path: Path) -> None:
    verdict = judged(home_of(tmp_path, SHARED), billed("s", A), "team-b")
    assert (str(verdict.state), verdict.belongs, verdict.config) == (
        "wrong place",
        "custom:team-b",
        '{"provider": "custom:team-b", "holdfast": {"provider": "custom:team-b", "model": "big"}}',
    ), "big is the model of team-a in the block 'model:', so the decision is noted"


def test_a_name_that_hermes_may_have_made_up_is_doubted_aloud(tmp_path: Path) -> None:
    home = home_of(tmp_path, SHARED)
    assert "'team-b' has the same URL" in judged(home, stored("s", "custom:team-a", A)).note
    assert judged(home, stored("s", "custom:team-b", A)).note == ""


def test_a_healed_row_keeps_what_else_it_says_and_names_no_other_url_than_its_entry(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    row = stored(
        "s",
        "custom",
        B.removesuffix("/v1") + "/",
        model="slow",
        config={"service_tier": "priority", "model": "slow"},
    )
    verdict = judged(home, row)
    assert (
        verdict.config
        == f'{{"model": "slow", "provider": "custom:slow", "base_url": "{B}", "service_tier": "priority"}}'
    )
    again = judged(home, {**row, "model_config": verdict.config})
    assert (str(again.state), again.today.host) == ("resumes", "127.0.0.1:9102")


@pytest.mark.parametrize(
    ("config", "row", "expected"),
    [
        (
            THREE,
            stored("s", "custom:team-a", "http://127.0.0.1:9999/v1"),
            "team-a at 127.0.0.1:9999 with the key of 'team-a' (TEAM_A_KEY)",
        ),
        (
            f"providers: {{plain: {{api: {A}}}}}",
            stored("s", "plain"),
            "plain at 127.0.0.1:9101 with no key of 'plain' (a placeholder)",
        ),
        (BARE_DEFAULT, billed("s", A), "the block 'model:' at 127.0.0.1:9109 with its key"),
        (BARE_DEFAULT, stored("s", "custom", A), "no entry at 127.0.0.1:9101 with no key (a placeholder)"),
        (
            "model: big",
            stored("s", "ollama"),
            "OpenRouter, as there is no entry at openrouter.ai with the OpenRouter key, if there is one",
        ),
        ("{}", billed("s", A), "whatever provider a key is found for"),
        ("model: {provider: xai}", {"id": "s"}, "xai with hermes's key for xai"),
    ],
)
def test_a_session_is_shown_with_the_host_and_key_it_uses_today(
    tmp_path: Path, config: str, row: dict[str, Any], expected: str
) -> None:
    assert str(judged(home_of(tmp_path, config), row).today) == expected


def test_an_entry_is_found_by_every_name_that_hermes_knows_it_by(tmp_path: Path) -> None:
    config = (
        f"providers: {{my-key: {{name: My Fine Plan, api: {A}}}}}\n"
        f"custom_providers: [{{name: Other Plan, base_url: {B}}}]\n"
    )
    home = home_of(tmp_path, config)
    names = ["my-key", "My-Key", "custom:my-key", "My Fine Plan", "my-fine-plan", "custom:my-fine-plan"]
    assert {home.named(name) for name in names} == {home.entries[0]}
    assert home.named("custom:other-plan") is home.entries[1]
    assert home.named("auto") is None


def test_an_entry_that_hermes_would_not_use_is_reported_and_never_a_candidate(tmp_path: Path) -> None:
    config = f"""\
providers:
  off: {{api: {A}, enabled: false}}
  deepseek: {{request_timeout_seconds: 30}}
  nowhere: {{api: not-a-url}}
  first: {{api: {A}}}
custom_providers:
  - {{name: First, base_url: {B}}}
  - {{base_url: {B}}}
  - just a string
"""
    home = home_of(tmp_path, config)
    assert [entry.name for entry in home.entries] == ["first"]
    assert [ignored.why for ignored in home.ignored] == [
        "enabled: false",
        "it has no URL",
        "an earlier entry has its name",
        "it has no name",
        "it has no name",
    ]


def test_variables_of_the_home_stand_for_urls_and_keys(tmp_path: Path) -> None:
    path = hermes_home(
        tmp_path / "hermes",
        "providers: {one: {api: 'http://${HOST}/v1', api_key: '${ONE_KEY}'}}",
        env="HOST=127.0.0.1:9\nexport ONE_KEY='sk-in-dotenv-1'\n",
    )
    (entry,) = read_home(path, {}).entries
    assert entry.url == "http://127.0.0.1:9/v1"
    assert (entry.keys[0].ref, entry.keys[0].secret is not None) == ("env:ONE_KEY", True)
    assert read_home(path, {"ONE_KEY": "sk-in-dotenv-1"}).entries[0].keys[0].secret is None
    other = read_home(path, {"ONE_KEY": "sk-here-0123456789"}).entries[0].keys[0]
    assert other.secret is not None, "hermes takes the value of .env before that of the environment"
    assert other.secret.starts_with("sk-in-dotenv")

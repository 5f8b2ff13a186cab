"""What each program's own files become: entries with references, and a reason for whatever was not
carried."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.importers import codex, env, hermes, litellm, opencode, pi
from holdfast.importers.entries import ImportResult
from importers.homes import CONFIG, A, B, hermes_home

LITERAL = "sk-literal-7c1d0b4e9f2a5836"
Read = Callable[[Path | None, Mapping[str, str]], ImportResult]


def tables(imported: ImportResult) -> dict[str, dict[str, object]]:
    """The entries as they would be written without a copy of any value."""
    return {str(entry.name): entry.table(copied=False) for entry in imported.entries}


def values(imported: ImportResult) -> dict[str, list[str]]:
    """Under which labels values would be kept."""
    return {
        str(entry.name): [key.label for key in entry.keys if key.secret is not None]
        for entry in imported.entries
    }


def why(imported: ImportResult) -> str:
    return "\n".join(f"{what}: {reason}" for what, reason in imported.left_out)


def write_file(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def test_hermes_gives_its_entries_its_known_providers_and_its_chain(tmp_path: Path) -> None:
    auth = {
        "credential_pool": {
            "custom:team-b": [
                {"source": "config:Team B", "auth_type": "api_key", "access_token": ""},
                {"source": "manual", "auth_type": "api_key", "label": "spare one", "access_token": LITERAL},
            ],
            "deepseek": [{"source": "env:DS_KEY", "auth_type": "api_key"}],
            "anthropic": [
                {"source": "claude_code", "auth_type": "oauth", "label": "max", "refresh_token": LITERAL}
            ],
            "nobody-knows": [{"source": "manual", "auth_type": "api_key", "access_token": LITERAL}],
        }
    }
    home = hermes_home(
        tmp_path / "hermes",
        CONFIG,
        env=f"TEAM_A_KEY={LITERAL}-a\nOPENROUTER_API_KEY=sk-or-v1-0f1e2d3c\nKIMI_API_KEY={LITERAL}-k\n",
        auth=auth,
    )
    imported = hermes.read(home, {"DS_KEY": "x" * 9})
    assert tables(imported) == {
        "team-a": {"url": A, "keys": ["env:TEAM_A_KEY"]},
        "team-b": {"url": B, "models": ["big", "small"]},
        "deepseek": {"preset": "deepseek", "keys": ["env:DS_KEY"]},
        "openrouter": {"preset": "openrouter", "keys": ["env:OPENROUTER_API_KEY"]},
        "moonshot": {"preset": "moonshot", "keys": ["env:KIMI_API_KEY"]},
    }
    assert values(imported) == {
        "team-a": ["TEAM_A_KEY"],
        "team-b": ["team-b", "spare-one"],
        "deepseek": [],
        "openrouter": ["OPENROUTER_API_KEY"],
        "moonshot": ["KIMI_API_KEY"],
    }
    assert imported.fallbacks == (("team-a/big", ("team-b/small",)),)
    for part in (
        "the sign-in 'max' of 'anthropic'",
        "'nobody-knows'",
    ):
        assert part in why(imported)


def test_hermes_sends_a_known_providers_key_where_its_home_says(tmp_path: Path) -> None:
    home = hermes_home(
        tmp_path / "hermes",
        "{}",
        env=f"XIAOMI_API_KEY={LITERAL}\nXIAOMI_BASE_URL=https://token-plan-cn.xiaomimimo.com/v1\n",
    )
    assert tables(hermes.read(home, {})) == {
        "mimo": {"url": "https://token-plan-cn.xiaomimimo.com/v1", "keys": ["env:XIAOMI_API_KEY"]}
    }


def test_the_unnamed_endpoint_of_hermes_gets_a_name_because_a_class_is_none(tmp_path: Path) -> None:
    home = hermes_home(
        tmp_path / "hermes", f"model: {{default: big, provider: custom, base_url: {A}, api_key: {LITERAL}}}"
    )
    imported = hermes.read(home, {})
    assert tables(imported) == {"hermes-custom": {"url": A, "models": ["big"]}}
    assert "it is called 'hermes-custom' here" in why(imported)


LITELLM = f"""\
defaults: &key {{api_key: os.environ/OPENAI_KEY_1}}
model_list:
  - {{model_name: gpt, litellm_params: {{model: openai/gpt-5, <<: *key}}}}
  - {{model_name: gpt, litellm_params: {{model: openai/gpt-5, api_key: os.environ/OPENAI_KEY_2}}}}
  - {{model_name: cheap, litellm_params: {{model: together_ai/deepseek-ai/DeepSeek-V3, api_key: {LITERAL}}}}}
  - {{model_name: mine,
     litellm_params: {{model: hosted_vllm/qwen, api_base: "http://10.0.0.5:8000/v1",
       api_key: os.environ/MINE}}}}
  - {{model_name: claude,
     litellm_params: {{model: anthropic/claude-5, api_base: "https://relay.example/v1/",
       api_key: os.environ/RELAY}}}}
  - {{model_name: any, litellm_params: {{model: "openrouter/*", api_key: os.environ/ROUTER}}}}
  - {{model_name: azure,
     litellm_params: {{model: azure/gpt, api_base: "https://x.openai.azure.com", api_key: os.environ/AZ}}}}
  - {{model_name: bare, litellm_params: {{model: gpt-4o}}}}
  - just text
litellm_settings:
  fallbacks: [{{gpt: [cheap, mine]}}, {{gpt: [gone]}}]
  context_window_fallbacks: [{{gpt: [mine]}}]
general_settings: {{master_key: {LITERAL}}}
"""


def test_litellm_gives_one_entry_for_each_place_with_its_keys_as_a_pool(tmp_path: Path) -> None:
    imported = litellm.read(write_file(tmp_path / "config.yaml", LITELLM), {})
    assert tables(imported) == {
        "openai": {"preset": "openai", "models": ["gpt-5"], "keys": ["env:OPENAI_KEY_1", "env:OPENAI_KEY_2"]},
        "together": {"preset": "together", "models": ["deepseek-ai/DeepSeek-V3"]},
        "10.0.0.5-8000": {"url": "http://10.0.0.5:8000/v1", "models": ["qwen"], "keys": ["env:MINE"]},
        "relay.example": {
            "url": "https://relay.example",
            "dialect": "anthropic-messages",
            "auth": "x-api-key",
            "models": ["claude-5"],
            "keys": ["env:RELAY"],
        },
        "openrouter": {"preset": "openrouter", "keys": ["env:ROUTER"]},
    }
    assert imported.fallbacks == (
        ("openai/gpt-5", ("together/deepseek-ai/DeepSeek-V3", "10.0.0.5-8000/qwen")),
    )
    for part in (
        "azure",
        "its model names no provider",
        "'gone' was not imported",
        "master_key",
        "context_window_fallbacks",
        "it is the pin openai/gpt-5 here",
    ):
        assert part in why(imported)


def test_litellm_accounts_with_different_models_stay_apart(tmp_path: Path) -> None:
    rows = [
        {"model_name": m, "litellm_params": {"model": f"openai/{m}", "api_key": f"os.environ/{k}"}}
        for m, k in (("a", "K1"), ("b", "K2"))
    ]
    imported = litellm.read(write_file(tmp_path / "c.yaml", json.dumps({"model_list": rows})), {})
    assert tables(imported) == {
        "openai": {"preset": "openai", "models": ["a"], "keys": ["env:K1"]},
        "openai-2": {"preset": "openai", "models": ["b"], "keys": ["env:K2"]},
    }


def test_opencode_gives_its_providers_with_their_references(tmp_path: Path) -> None:
    config = {
        "provider": {
            "relay": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {
                    "baseURL": "https://relay.example/v1",
                    "apiKey": "{env:RELAY}",
                    "headers": {"x": "y"},
                },
            },
            "messages": {
                "npm": "@ai-sdk/anthropic",
                "options": {"baseURL": "https://m.example/v1", "apiKey": "{file:./key.txt}"},
                "models": {"m1": {}},
            },
            "local": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": "http://127.0.0.1:11434/v1", "apiKey": "ollama"},
                "models": {"q": {"id": "qwen"}},
            },
            "declared": {
                "api": "https://d.example/v1",
                "env": ["D_KEY"],
                "models": {"a": {}, "b": {"provider": {"npm": "@ai-sdk/anthropic"}}},
            },
            "bedrock": {"npm": "@ai-sdk/amazon-bedrock", "options": {}},
            "dynamic": {"npm": "@ai-sdk/openai-compatible", "options": {"baseURL": "{env:WHERE}"}},
            "off": {"options": {"baseURL": "https://off.example"}},
        },
        "disabled_providers": ["off"],
    }
    write_file(
        tmp_path / "share/opencode/auth.json",
        {"togetherai": {"type": "api", "key": LITERAL}, "anthropic": {"type": "oauth", "refresh": LITERAL}},
    )
    path = write_file(tmp_path / "opencode.jsonc", f"// mine\n{json.dumps(config)[:-1]},}}")
    imported = opencode.read(path, {"XDG_DATA_HOME": str(tmp_path / "share")})
    assert tables(imported) == {
        "relay": {"url": "https://relay.example/v1", "headers": {"x": "y"}, "keys": ["env:RELAY"]},
        "messages": {
            "url": "https://m.example",
            "dialect": "anthropic-messages",
            "auth": "x-api-key",
            "models": ["m1"],
            "keys": [f"file:{tmp_path}/key.txt"],
        },
        "local": {"url": "http://127.0.0.1:11434/v1", "models": ["qwen"], "auth": "none"},
        "declared": {"url": "https://d.example/v1", "models": ["a"], "keys": ["env:D_KEY"]},
        "togetherai": {"preset": "together"},
    }
    assert values(imported)["togetherai"] == ["togetherai"]
    for part in (
        "signed, which Holdfast does not do: it speaks no dialect of ours",
        "the variable WHERE is not set here",
        "off: it is one of disabled_providers",
        "declared/b",
        "the sign-in of 'anthropic'",
    ):
        assert part in why(imported)


def test_pi_gives_its_providers_in_either_of_its_spellings(tmp_path: Path) -> None:
    write_file(
        tmp_path / "models.json",
        {
            "providers": {
                "plan": {
                    "baseUrl": "https://p.example/v1",
                    "api": "openai-completions",
                    "apiKey": "$PLAN_KEY",
                    "models": [{"id": "a"}, {"id": "b:high"}],
                },
                "old": {
                    "baseUrl": "https://o.example/v1",
                    "api": "openai-completions",
                    "apiKey": "OLD_KEY",
                    "models": [{"id": "a"}],
                },
                "vault": {
                    "baseUrl": "https://v.example/anthropic",
                    "api": "anthropic-messages",
                    "apiKey": "!op read 'op://v/k'",
                    "headers": {"X-A": "1"},
                },
                "inline": {"baseUrl": "https://i.example/v1", "api": "openai-responses", "apiKey": LITERAL},
                "google": {"baseUrl": "https://g.example", "api": "google-generative-ai", "apiKey": "$G"},
                "mixed": {
                    "baseUrl": "https://m.example",
                    "models": [
                        {"id": "a", "api": "openai-completions"},
                        {"id": "b", "api": "anthropic-messages"},
                    ],
                },
                "nowhere": {"apiKey": "$N"},
            }
        },
    )
    write_file(
        tmp_path / "auth.json",
        {
            "zai": {"type": "api_key", "key": "$ZAI"},
            "anthropic": {"type": "oauth", "refresh": LITERAL},
            "plan": {"type": "api_key", "key": "$NEWER"},
        },
    )
    imported = pi.read(tmp_path, {})
    assert tables(imported) == {
        "plan": {"url": "https://p.example/v1", "models": ["a", "b:high"], "keys": ["env:NEWER"]},
        "old": {"url": "https://o.example/v1", "models": ["a"], "keys": ["env:OLD_KEY"]},
        "vault": {
            "url": "https://v.example/anthropic",
            "dialect": "anthropic-messages",
            "auth": "x-api-key",
            "headers": {"X-A": "1"},
            "keys": ["cmd:op read 'op://v/k'"],
        },
        "inline": {"url": "https://i.example/v1", "dialect": "openai-responses"},
        "zai": {"preset": "zai-coding", "keys": ["env:ZAI"]},
    }
    assert values(imported)["inline"] == ["inline"]
    for part in (
        "google-generative-ai",
        "endpoints of their own",
        "no preset has its name",
        "the sign-in of 'anthropic'",
    ):
        assert part in why(imported)


CODEX = f"""\
model = "gpt-5-codex"
model_provider = "mine"
[model_providers.mine]
name = "Mine"
base_url = "https://mine.example/v1"
env_key = "MINE"
wire_api = "responses"
http_headers = {{ "X-Team" = "1" }}
[model_providers.old]
base_url = "https://old.example/v1"
experimental_bearer_token = "{LITERAL}"
[model_providers.helper]
base_url = "https://helper.example/v1"
wire_api = "responses"
auth = {{ command = "get key", args = ["-n", "-n"] }}
[model_providers.strange]
base_url = "https://strange.example/v1"
wire_api = "carrier-pigeon"
[profiles.other]
model_provider = "mine"
model = "gpt-5"
"""


def test_codex_gives_its_model_providers(tmp_path: Path) -> None:
    write_file(tmp_path / "config.toml", CODEX)
    write_file(
        tmp_path / "auth.json", {"OPENAI_API_KEY": f"{LITERAL}-own", "tokens": {"refresh_token": LITERAL}}
    )
    imported = codex.read(tmp_path, {})
    assert tables(imported) == {
        "mine": {
            "url": "https://mine.example/v1",
            "dialect": "openai-responses",
            "models": ["gpt-5-codex", "gpt-5"],
            "headers": {"X-Team": "1"},
            "keys": ["env:MINE"],
        },
        "old": {"url": "https://old.example/v1", "dialect": "openai-responses"},
        "helper": {
            "url": "https://helper.example/v1",
            "dialect": "openai-responses",
            "keys": ["cmd:'get key' -n -n"],
        },
        "openai": {"preset": "openai"},
    }
    assert (values(imported)["old"], values(imported)["openai"]) == (["old"], ["codex"])
    for part in ("carrier-pigeon", "the ChatGPT sign-in"):
        assert part in why(imported)


def test_the_environment_gives_the_presets_whose_variables_are_set(tmp_path: Path) -> None:
    imported = env.read(
        None,
        {
            "OPENROUTER_API_KEY": "k" * 9,
            "GEMINI_API_KEY": "y" * 9,
            "GOOGLE_API_KEY": "z" * 9,
            "GROQ_API_KEY": " ",
            "PATH": "/bin",
        },
    )
    assert tables(imported) == {
        "gemini": {"preset": "gemini", "keys": ["env:GEMINI_API_KEY"]},
        "openrouter": {"preset": "openrouter", "keys": ["env:OPENROUTER_API_KEY"]},
    }
    assert "GOOGLE_API_KEY: GEMINI_API_KEY is used" in why(imported)
    dotenv = write_file(tmp_path / ".env", f"GROQ_API_KEY=gsk_{LITERAL}\n")
    assert values(env.read(dotenv, {})) == {"groq": ["GROQ_API_KEY"]}


@pytest.mark.parametrize(
    "read", [codex.read, pi.read, opencode.read, litellm.read], ids=["codex", "pi", "opencode", "litellm"]
)
@pytest.mark.parametrize(
    "content",
    [
        {"provider": 1, "providers": [1], "model_providers": "x", "model_list": {"a": 1}},
        {"provider": {"a": [1], "b": None}},
    ],
)
def test_values_of_wrong_types_say_nothing_and_break_nothing(
    tmp_path: Path, read: Read, content: dict[str, Any]
) -> None:
    imported = read(
        write_file(tmp_path / "c.json", content), {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    )
    assert imported.entries == ()


def test_wrong_types_in_a_hermes_home_break_nothing(tmp_path: Path) -> None:
    wrong = {
        "model": [1],
        "providers": {"a": "x", "b": {"api": 7, "models": 3}},
        "custom_providers": {"c": 1},
        "fallback_providers": "x",
    }
    imported = hermes.read(
        hermes_home(
            tmp_path / "hermes",
            json.dumps(wrong),
            auth={"credential_pool": {"x": [1, {"source": 3}], "y": "z"}},
        ),
        {},
    )
    assert imported.entries == ()
    assert "it is not a list, so hermes ignores all of it" in why(imported)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://u:p@host.example/v1", "has a user or password"),
        ("http://169.254.169.254/v1", "metadata"),
        ("https://host.example/v1?key=x", "query"),
        ("ftp://host.example", "not an http"),
    ],
)
def test_an_endpoint_that_we_would_refuse_is_left_out_with_the_reason(
    tmp_path: Path, url: str, reason: str
) -> None:
    content = {"model_providers": {}, "provider": {"p": {"options": {"baseURL": url, "apiKey": "{env:K}"}}}}
    imported = opencode.read(write_file(tmp_path / "c.json", content), {"XDG_DATA_HOME": str(tmp_path)})
    assert imported.entries == ()
    assert reason in why(imported)
    assert "u:p" not in why(imported)


def test_a_model_whose_name_cannot_be_pinned_costs_nothing_but_itself(tmp_path: Path) -> None:
    home = hermes_home(
        tmp_path / "hermes",
        json.dumps(
            {
                "providers": {
                    "p": {"api": "https://p.example/v1", "models": {"good": {}, "bad\n": {}, " ": {}}}
                }
            }
        ),
    )
    imported = hermes.read(home, {})
    assert tables(imported) == {"p": {"url": "https://p.example/v1", "models": ["good"]}}
    assert why(imported).count("a model of 'p'") == 2


def test_no_value_of_a_key_shows_in_what_was_found(tmp_path: Path) -> None:
    imported = litellm.read(write_file(tmp_path / "c.yaml", LITELLM), {})
    assert LITERAL not in repr(imported)

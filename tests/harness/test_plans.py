"""Each plan says exactly what its program reads: files in the program's own format, variables, arguments, and
the one secret."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from harness.tasks import CHAT, DIRECTORY, GATEWAY, MESSAGES, PIN, PROVIDER, RESPONSES, VARIABLES, task
from holdfast.core.config import ModelFacts
from holdfast.core.errors import CannotHandOver
from holdfast.core.identity import Auth, Dialect, Pin
from holdfast.harness import HARNESSES, SPEAKS
from holdfast.harness.arguments import choosing
from holdfast.harness.base import TOKEN, Handover, version_of
from holdfast.harness.environment import matches
from tables import rows

PLANNED = [
    (name, dialect)
    for name, harness in HARNESSES.items()
    if not harness.no_plan
    for dialect in harness.speaks
]
SLUG = "holdfast-my_plan"
HERMES = ("--provider", f"custom:{SLUG}", "--model", PIN.model)
REFERENCES = {"pi": f"${TOKEN}", "crush": f"${TOKEN}", "continue": f"${{{{ secrets.{TOKEN} }}}}"}


def plan(name: str, dialect: Dialect, *arguments: str, **more: Any) -> Handover:
    return HARNESSES[name].hand_over(task(dialect, *arguments, **more))


def document(made: Handover, path: str) -> Any:
    """A file of the plan, parsed as its program parses it."""
    content = next(file.content for file in made.files if file.path == path)
    return yaml.safe_load(content) if path.endswith((".yaml", ".yml")) else json.loads(content)


def overrides(made: Handover) -> dict[str, Any]:
    """What Codex understands of its `-c name=value`, which it parses as TOML."""
    settings = [value for flag, value in zip(made.argv, made.argv[1:], strict=False) if flag == "-c"]
    return tomllib.loads("\n".join(settings))


@rows(("name", "dialect"), PLANNED)
def test_every_plan_names_host_and_model_and_sets_one_secret(name: str, dialect: Dialect) -> None:
    made = plan(name, dialect, "say hello")
    text = json.dumps([made.argv, dict(made.set), [text.content for text in made.files]])
    assert "127.0.0.1:4242" in text
    assert PIN.model in text
    assert made.secret
    assert made.secret not in made.set
    assert made.expected.url == GATEWAY[dialect]
    assert made.expected.model == PIN.model
    assert made.argv[-1] == "say hello"
    assert made.argv[0] == HARNESSES[name].executable


@rows(("name", "dialect"), PLANNED)
def test_every_plan_removes_whatever_could_give_the_program_another_way(name: str, dialect: Dialect) -> None:
    made = plan(name, dialect)
    ambient = [
        "OPENAI_BASE_URL",
        "OPENAI_API_BASE",
        "OPENAI_ORG_ID",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "AWS_BEARER_TOKEN_BEDROCK",
        TOKEN,
    ]
    ambient += (
        VARIABLES["openai"] + VARIABLES["anthropic"] + VARIABLES["gemini"][:1] + VARIABLES["openrouter"][:1]
    )
    assert [name for name in ambient if not matches(name, made.unset)] == []
    assert matches(made.secret, (*made.unset, *(name for row in VARIABLES.values() for name in row)))
    assert not matches("PATH", made.unset)
    assert not matches("HOME", made.unset)


@pytest.mark.parametrize("name", [name for name, harness in HARNESSES.items() if not harness.no_plan])
def test_a_provider_never_gets_the_id_of_one_that_the_program_knows(name: str) -> None:
    made = plan(name, HARNESSES[name].speaks[0], pin=Pin.parse("openrouter/m"))
    files = "".join(file.content for file in made.files)
    if "openrouter" in files + json.dumps(dict(made.set)):
        assert "holdfast-openrouter" in files + json.dumps(dict(made.set))
        assert '"openrouter"' not in files + json.dumps(dict(made.set))


@pytest.mark.parametrize(
    ("dialect", "api", "url"),
    [
        (CHAT, "openai-completions", GATEWAY[CHAT]),
        (RESPONSES, "openai-responses", GATEWAY[RESPONSES]),
        (MESSAGES, "anthropic-messages", GATEWAY[MESSAGES]),
    ],
)
def test_pi_reads_its_provider_from_a_directory_of_its_own(dialect: Dialect, api: str, url: str) -> None:
    made = plan("pi", dialect, version="1.5.2")
    entry = document(made, "models.json")["providers"]["holdfast-my_plan"]
    assert (entry["api"], entry["baseUrl"], entry["apiKey"]) == (api, url, f"${TOKEN}")
    assert entry["models"] == [{"id": PIN.model, "name": PIN.model}]
    assert entry.get("authHeader", False) is (dialect is MESSAGES)
    assert document(made, "auth.json") == {}
    assert document(made, "settings.json") == {"retry": {"enabled": False}}
    assert made.set["PI_CODING_AGENT_DIR"] == DIRECTORY
    assert made.argv == ("pi", "--provider", "holdfast-my_plan", "--model", PIN.model)


@pytest.mark.parametrize(
    ("version", "reference"),
    [
        ("0.73.1", TOKEN),
        ("0.76.0", TOKEN),
        ("0.77.0", f"${TOKEN}"),
        ("0.79.4", f"${TOKEN}"),
        ("1.5.2", f"${TOKEN}"),
        ("", f"${TOKEN}"),
    ],
)
def test_pi_is_given_the_key_s_reference_in_the_dialect_of_its_version(version: str, reference: str) -> None:
    entry = document(plan("pi", CHAT, version=version), "models.json")["providers"]["holdfast-my_plan"]
    assert entry["apiKey"] == reference


def test_pi_shows_a_key_as_the_endpoint_wants_it_by_reference() -> None:
    made = plan("pi", CHAT, version="1.5.2", direct=True, auth=Auth.API_KEY, headers=(("x-team", "a"),))
    entry = document(made, "models.json")["providers"]["holdfast-my_plan"]
    assert entry["headers"] == {"api-key": f"${TOKEN}", "x-team": "a"}
    assert entry["baseUrl"] == PROVIDER[CHAT]
    assert document(made, "settings.json") == {}


def test_claude_code_gets_settings_that_beat_a_project_and_every_alias_means_the_pin() -> None:
    made = plan("claude", MESSAGES)
    env = document(made, "holdfast-settings.json")["env"]
    assert env["ANTHROPIC_BASE_URL"] == GATEWAY[MESSAGES]
    assert {name: value for name, value in env.items() if name.endswith("_MODEL")} == dict.fromkeys(
        [
            "ANTHROPIC_MODEL",
            "ANTHROPIC_SMALL_FAST_MODEL",
            "CLAUDE_CODE_SUBAGENT_MODEL",
            *(f"ANTHROPIC_DEFAULT_{tier}_MODEL" for tier in ("HAIKU", "SONNET", "OPUS", "FABLE")),
        ],
        PIN.model,
    )
    assert env["CLAUDE_CODE_MAX_RETRIES"] == "0"
    assert made.argv[1:5] == (
        "--setting-sources",
        "user",
        "--settings",
        f"{DIRECTORY}/holdfast-settings.json",
    )
    assert env.items() <= made.set.items()
    assert made.secret == "ANTHROPIC_AUTH_TOKEN"


def test_claude_code_shows_a_key_and_headers_as_the_endpoint_wants_them() -> None:
    made = plan("claude", MESSAGES, direct=True, auth=Auth.X_API_KEY, headers=(("x-team", "a"), ("x-b", "c")))
    assert made.secret == VARIABLES["anthropic"][0]
    assert made.set["ANTHROPIC_CUSTOM_HEADERS"] == "x-team: a\nx-b: c"
    assert "CLAUDE_CODE_MAX_RETRIES" not in made.set
    with pytest.raises(CannotHandOver, match="wants its key as 'api-key'"):
        plan("claude", MESSAGES, direct=True, auth=Auth.API_KEY)


def test_codex_gets_everything_in_overrides_that_its_own_parser_understands() -> None:
    settings = overrides(plan("codex", RESPONSES, "exec", "hi"))
    assert settings["model_provider"] == "holdfast-my_plan"
    assert settings["model"] == PIN.model
    assert settings["shell_environment_policy"] == {"exclude": ["HOLDFAST_*"]}
    entry = settings["model_providers"]["holdfast-my_plan"]
    assert entry == {
        "name": "holdfast-my_plan",
        "base_url": GATEWAY[RESPONSES],
        "wire_api": "responses",
        "env_key": TOKEN,
        "request_max_retries": 0,
        "stream_max_retries": 0,
    }


def test_codex_shows_a_key_and_headers_as_the_endpoint_wants_them() -> None:
    headers = (("x-team", 'a "quoted" \\ one'),)
    entry = overrides(plan("codex", RESPONSES, direct=True, auth=Auth.API_KEY, headers=headers))[
        "model_providers"
    ]["holdfast-my_plan"]
    assert entry["env_http_headers"] == {"api-key": TOKEN}
    assert entry["http_headers"] == dict(headers)
    assert "env_key" not in entry
    assert "request_max_retries" not in entry
    assert plan("codex", RESPONSES, direct=True, auth=Auth.NONE).secret == ""


@pytest.mark.parametrize(
    ("dialect", "package", "url"),
    [
        (CHAT, "@ai-sdk/openai-compatible", GATEWAY[CHAT]),
        (RESPONSES, "@ai-sdk/openai", GATEWAY[RESPONSES]),
        (MESSAGES, "@ai-sdk/anthropic", f"{GATEWAY[MESSAGES]}/v1"),
    ],
)
def test_opencode_gets_its_whole_configuration_in_one_variable(
    dialect: Dialect, package: str, url: str
) -> None:
    made = plan("opencode", dialect, "run", "hi")
    config = json.loads(made.set["OPENCODE_CONFIG_CONTENT"])
    entry = config["provider"]["holdfast-my_plan"]
    assert (entry["npm"], entry["options"]) == (package, {"baseURL": url, "apiKey": f"{{env:{TOKEN}}}"})
    assert config["model"] == config["small_model"] == f"holdfast-my_plan/{PIN.model}"
    assert config["enabled_providers"] == ["holdfast-my_plan"]
    assert made.set["OPENCODE_DISABLE_PROJECT_CONFIG"] == "1"
    assert {name for name in made.set if name.startswith("XDG_")} == {
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("run", "hi"), ("run", "--model", f"holdfast-my_plan/{PIN.model}", "hi")),
        ((), ("--model", f"holdfast-my_plan/{PIN.model}")),
        (("-c",), ("--model", f"holdfast-my_plan/{PIN.model}", "-c")),
        (("session", "list"), ("session", "list")),
    ],
)
def test_opencode_gets_its_model_again_where_a_request_begins(
    given: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert plan("opencode", CHAT, *given).argv[1:] == expected


def test_opencode_sends_no_key_where_none_is_wanted_and_others_by_header() -> None:
    bare = json.loads(plan("opencode", CHAT, direct=True, auth=Auth.NONE).set["OPENCODE_CONFIG_CONTENT"])[
        "provider"
    ]["holdfast-my_plan"]["options"]
    assert "apiKey" not in bare
    azure = plan("opencode", CHAT, direct=True, auth=Auth.API_KEY, headers=(("x-team", "a"),))
    options = json.loads(azure.set["OPENCODE_CONFIG_CONTENT"])["provider"]["holdfast-my_plan"]["options"]
    assert options["headers"] == {"api-key": f"{{env:{TOKEN}}}", "x-team": "a"}


@pytest.mark.parametrize(("dialect", "kind"), [(CHAT, "openai"), (MESSAGES, "anthropic")])
def test_qwen_code_trusts_no_folder_by_itself_and_has_no_list_that_drops_a_model(
    dialect: Dialect, kind: str
) -> None:
    made = plan("qwen", dialect)
    settings = document(made, "settings.json")
    assert settings["security"] == {"auth": {"selectedType": kind}, "folderTrust": {"enabled": True}}
    assert "modelProviders" not in settings
    assert made.argv[1:] == ("--auth-type", kind, "--model", PIN.model)
    assert made.set[f"{kind.upper()}_BASE_URL"] == GATEWAY[dialect]
    assert made.secret == VARIABLES[kind][0]


def test_continue_reads_one_yaml_file_with_a_reference_for_the_key() -> None:
    made = plan("continue", MESSAGES)
    model = document(made, "config.yaml")["models"][0]
    assert (model["provider"], model["apiBase"], model["apiKey"]) == (
        "anthropic",
        f"{GATEWAY[MESSAGES]}/v1/",
        f"${{{{ secrets.{TOKEN} }}}}",
    )
    assert made.argv[1:] == ("--config", f"{DIRECTORY}/config.yaml")
    headed = document(plan("continue", CHAT, direct=True, headers=(("x-team", "a"),)), "config.yaml")[
        "models"
    ][0]
    assert headed["requestOptions"] == {"headers": {"x-team": "a"}}


def test_aider_gets_address_and_all_its_models_in_arguments_that_beat_a_project() -> None:
    made = plan("aider", CHAT, headers=(("x-team", "a"),))
    flags = dict(zip(made.argv[1::2], made.argv[2::2], strict=False))
    assert {flags[flag] for flag in ("--model", "--weak-model", "--editor-model")} == {f"openai/{PIN.model}"}
    assert flags["--openai-api-base"] == GATEWAY[CHAT]
    settings = document(made, "model-settings.yml")
    assert settings == [
        {
            "name": f"openai/{PIN.model}",
            "use_temperature": True,
            "extra_params": {"api_base": GATEWAY[CHAT], "extra_headers": {"x-team": "a"}},
        }
    ]
    assert made.project == (".env",)


def test_llm_has_one_model_of_its_own_which_is_its_default_and_no_other_host_for_the_key() -> None:
    made = plan("llm", CHAT, "hi", headers=(("x-team", "a"),))
    (model,) = document(made, "extra-openai-models.yaml")
    assert model == {
        "model_id": f"holdfast-my_plan/{PIN.model}",
        "model_name": PIN.model,
        "api_base": GATEWAY[CHAT],
        "api_key_name": "openai",
        "headers": {"x-team": "a"},
    }
    assert made.set["LLM_MODEL"] == model["model_id"]
    assert made.set["OPENAI_BASE_URL"] == GATEWAY[CHAT]
    assert document(made, "keys.json") == {}


def test_crush_and_goose_are_planned_from_their_documentation_and_marked_so() -> None:
    crush = document(plan("crush", CHAT, "run", "hi", headers=(("x-team", "a"),)), "crush.json")
    assert (
        crush["models"]["large"]
        == crush["models"]["small"]
        == {"provider": "holdfast-my_plan", "model": PIN.model}
    )
    assert crush["providers"]["holdfast-my_plan"]["api_key"] == f"${TOKEN}"
    assert plan("crush", CHAT, "run", "hi").argv == (
        "crush",
        "run",
        "--model",
        f"holdfast-my_plan/{PIN.model}",
        "hi",
    )
    goose = plan("goose", MESSAGES)
    assert (goose.set["GOOSE_PROVIDER"], goose.set["GOOSE_MODEL"]) == ("holdfast-my_plan", PIN.model)
    assert {name for name, harness in HARNESSES.items() if not harness.tested and not harness.no_plan} == {
        "crush",
        "goose",
    }


@pytest.mark.parametrize(
    ("dialect", "url", "kinds"),
    [
        (CHAT, GATEWAY[CHAT], ("openai", "openai", "generic-chat-completion-api")),
        (RESPONSES, GATEWAY[RESPONSES], ("openai", "openai_responses", "openai")),
        (MESSAGES, GATEWAY[MESSAGES], ("anthropic", "anthropic", "anthropic")),
    ],
)
def test_copilot_kimi_and_droid_get_the_dialect_s_address_in_their_own_words(
    dialect: Dialect, url: str, kinds: tuple[str, str, str]
) -> None:
    headers = (("x-team", "a"), ("x-b", "c"))
    copilot, kimi, droid = (plan(name, dialect, headers=headers) for name in ("copilot", "kimi", "droid"))
    assert copilot.set["COPILOT_PROVIDER_BASE_URL"] == kimi.set["KIMI_MODEL_BASE_URL"] == url
    assert copilot.set["COPILOT_PROVIDER_TYPE"] == kinds[0]
    assert copilot.set.get("COPILOT_PROVIDER_WIRE_API", "") == {
        CHAT: "completions",
        RESPONSES: "responses",
    }.get(dialect, "")
    assert copilot.set["COPILOT_MODEL"] == kimi.set["KIMI_MODEL_NAME"] == PIN.model
    assert kimi.set["KIMI_MODEL_PROVIDER_TYPE"] == kinds[1]
    assert kimi.set["KIMI_LOOP_MAX_ATTEMPTS_PER_STEP"] == "1"
    lines = "x-team: a\nx-b: c"
    assert (copilot.set["COPILOT_PROVIDER_HEADERS"], kimi.set["KIMI_CODE_CUSTOM_HEADERS"]) == (lines, lines)
    settings = document(droid, "holdfast-settings.json")
    assert settings == document(droid, ".factory/settings.json")
    (model,) = settings["customModels"]
    assert (model["baseUrl"], model["provider"], model["model"]) == (url, kinds[2], PIN.model)
    assert (model["apiKey"], model["extraHeaders"]) == (f"${{{TOKEN}}}", dict(headers))
    assert settings["sessionDefaultSettings"] == {"model": model["id"]}


def test_copilot_kimi_and_droid_show_a_key_as_the_endpoint_wants_it() -> None:
    assert plan("copilot", MESSAGES, direct=True, auth=Auth.X_API_KEY).secret == "COPILOT_PROVIDER_API_KEY"
    assert plan("copilot", CHAT, direct=True, auth=Auth.BEARER).secret == "COPILOT_PROVIDER_BEARER_TOKEN"
    assert plan("copilot", CHAT, direct=True, auth=Auth.NONE).secret == ""
    assert "KIMI_LOOP_MAX_ATTEMPTS_PER_STEP" not in plan("kimi", CHAT, direct=True).set
    with pytest.raises(CannotHandOver, match="wants its key as 'bearer'"):
        plan("droid", MESSAGES, direct=True)


def test_droid_is_told_its_model_again_where_a_request_begins() -> None:
    settings = ("--settings", f"{DIRECTORY}/holdfast-settings.json")
    model = ("--model", "custom:holdfast-my_plan")
    assert plan("droid", CHAT, "exec", "hi").argv == ("droid", *settings, "exec", *model, "hi")
    assert plan("droid", CHAT, "resume").argv == ("droid", *settings, "resume")


def test_kilo_gets_what_opencode_gets_and_tells_its_maker_nothing() -> None:
    kilo, opencode = plan("kilo", CHAT, "run", "hi"), plan("opencode", CHAT, "run", "hi")
    assert kilo.argv == ("kilo", *opencode.argv[1:])
    theirs = {name.replace("OPENCODE_", "KILO_"): value for name, value in opencode.set.items()}
    assert theirs.items() <= kilo.set.items()
    assert kilo.set["KILO_NO_DAEMON"] == kilo.set["KILO_DISABLE_SESSION_INGEST"] == "1"


@pytest.mark.parametrize(("dialect", "mode"), [(CHAT, "chat_completions"), (RESPONSES, "codex_responses")])
def test_hermes_gets_one_named_provider_and_repeats_nothing_itself(dialect: Dialect, mode: str) -> None:
    config = document(plan("hermes", dialect), "config.yaml")
    assert config["model"] == {"default": PIN.model, "provider": "custom:holdfast-my_plan"}
    assert config["providers"] == {
        "holdfast-my_plan": {
            "name": "holdfast-my_plan",
            "api": GATEWAY[dialect],
            "key_env": TOKEN,
            "api_mode": mode,
            "default_model": PIN.model,
        }
    }
    assert config["agent"] == {"api_max_retries": 1}
    assert "agent" not in document(plan("hermes", dialect, direct=True), "config.yaml")


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (("chat", "-q", "hi"), ("chat", *HERMES, "-q", "hi")),
        (("-z", "hi"), (*HERMES, "-z", "hi")),
        ((), HERMES),
        (("sessions", "list"), ("sessions", "list")),
    ],
)
def test_hermes_is_told_provider_and_model_where_a_conversation_begins(
    given: tuple[str, ...], after: tuple[str, ...]
) -> None:
    assert plan("hermes", CHAT, *given).argv[1:] == after


def test_all_obstacles_are_reported_at_once() -> None:
    with pytest.raises(CannotHandOver) as caught:
        plan(
            "qwen",
            CHAT,
            "--model",
            "other",
            version="0.9.9",
            direct=True,
            auth=Auth.API_KEY,
            headers=(("x-team", "a"),),
        )
    assert caught.value.what == "Qwen Code cannot be handed my.plan/vendor/model-1 at plan.example directly"
    details = "\n".join(caught.value.details)
    for part in (
        "version 0.9.9 is installed",
        "wants its key as 'api-key'",
        "needs the headers x-team",
        "'--model' would choose another connection",
    ):
        assert part in details
    assert len(caught.value.details) == 4


@pytest.mark.parametrize(
    ("name", "auth", "step"),
    [
        ("pi", Auth.NONE, "without --direct"),
        ("llm", Auth.API_KEY, "without --direct"),
        ("cline", Auth.BEARER, "holdfast run --list"),
    ],
)
def test_a_refusal_ends_with_the_next_command(name: str, auth: Auth, step: str) -> None:
    with pytest.raises(CannotHandOver) as caught:
        plan(name, CHAT, direct=True, auth=auth)
    assert step in caught.value.next_step


def test_a_program_that_is_too_old_is_refused_with_the_way_to_update_it() -> None:
    with pytest.raises(
        CannotHandOver, match=r"version 0\.60\.0 is installed, and we need 0\.73\.1 or newer"
    ) as caught:
        plan("pi", CHAT, version="pi 0.60.0 (old)")
    assert "npm install" in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.5.2", (1, 5, 2)),
        ("codex-cli 0.169.0\n", (0, 169, 0)),
        ("2.1.329 (Claude Code)", (2, 1, 329)),
        ("llm, version 0.30", (0, 30)),
        ("nonsense", ()),
    ],
)
def test_versions_are_read_from_what_programs_print(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("name", "arguments", "chosen"),
    [
        ("codex", ("exec", "-c", "model_provider=evil", "hi"), ["-c"]),
        ("codex", ("exec", "--config=model=x"), ["--config=model=x"]),
        ("codex", ("exec", "-c", "hide_agent_reasoning=true", "hi"), []),
        ("pi", ("--model=x",), ["--model=x"]),
        ("pi", ("-p", "hi", "--", "--model"), []),
        ("claude", ("-p", "--settings", "{}"), ["--settings"]),
        ("codex", ("exec", "-mgpt"), ["-mgpt"]),
        ("codex", ("exec", "-cmodel=x"), ["-cmodel=x"]),
        ("codex", ("exec", "-c=model=x"), ["-c=model=x"]),
        ("codex", ("exec", "-c", " model=x"), ["-c"]),
        ("codex", ("exec", "--config", "  profile=x"), ["--config"]),
        ("llm", ("-mgpt", "hi"), ["-mgpt"]),
        ("pi", ("--mode", "json"), []),
        ("aider", ("--openai-api-b", "http://h.example"), ["--openai-api-b"]),
        ("aider", ("--weak=x", "--yes", "--message", "hi"), ["--weak=x"]),
    ],
)
def test_arguments_that_would_choose_another_connection_are_found(
    name: str, arguments: tuple[str, ...], chosen: list[str]
) -> None:
    harness = HARNESSES[name]
    assert choosing(arguments, harness.chooses, harness.abbreviates) == chosen


def test_the_picker_s_table_is_that_of_the_plans() -> None:
    assert {name: harness.speaks for name, harness in HARNESSES.items()} == dict(SPEAKS)


FACTS: ModelFacts = {
    "context": 200_000,
    "output": 32_000,
    "input": ("text", "image", "pdf"),
    "reasoning": True,
}
# What each program reads of a model's limits and abilities, at the path below its own settings.
LIMITS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "pi": (
        CHAT,
        {"contextWindow": 200_000, "maxTokens": 32_000, "reasoning": True, "input": ["text", "image"]},
    ),
    "claude": (
        MESSAGES,
        {"CLAUDE_CODE_MAX_CONTEXT_TOKENS": "200000", "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "32000"},
    ),
    "codex": (RESPONSES, {"model_context_window": 200_000}),
    "opencode": (
        CHAT,
        {
            "limit": {"context": 200_000, "output": 32_000},
            "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
            "attachment": True,
            "reasoning": True,
        },
    ),
    "qwen": (CHAT, {"generationConfig": {"contextWindowSize": 200_000}}),
    "continue": (
        CHAT,
        {
            "contextLength": 200_000,
            "defaultCompletionOptions": {"contextLength": 200_000, "maxTokens": 32_000},
        },
    ),
    "aider": (
        CHAT,
        {
            "litellm_provider": "openai",
            "mode": "chat",
            "max_input_tokens": 200_000,
            "max_output_tokens": 32_000,
            "supports_reasoning": True,
            "supports_vision": True,
        },
    ),
    "llm": (CHAT, {"vision": True, "reasoning": True}),
    "crush": (
        CHAT,
        {
            "context_window": 200_000,
            "default_max_tokens": 32_000,
            "can_reason": True,
            "supports_attachments": True,
        },
    ),
    "goose": (CHAT, {"context_limit": 200_000}),
    "copilot": (
        RESPONSES,
        {
            "COPILOT_PROVIDER_MAX_PROMPT_TOKENS": "168000",  # without the answer
            "COPILOT_PROVIDER_MAX_OUTPUT_TOKENS": "32000",
        },
    ),
    "kimi": (
        CHAT,
        {
            "KIMI_MODEL_MAX_CONTEXT_SIZE": "200000",
            "KIMI_MODEL_MAX_OUTPUT_SIZE": "32000",
            "KIMI_MODEL_CAPABILITIES": "tool_use,image_in,thinking",
        },
    ),
    "droid": (CHAT, {"maxContextLimit": 200_000, "maxOutputTokens": 32_000, "noImageSupport": False}),
}
LIMITS["kilo"] = LIMITS["opencode"]
LIMITS["hermes"] = (CHAT, {"max_tokens": 32_000, "context_length": 200_000})


def opencode_model(made: Handover) -> Any:
    (config,) = (value for name, value in made.set.items() if name.endswith("_CONFIG_CONTENT"))
    return json.loads(config)["provider"][SLUG]["models"][PIN.model]


TOLD_AT: dict[str, Callable[[Handover], Any]] = {
    "pi": lambda made: document(made, "models.json")["providers"][SLUG]["models"][0],
    "claude": lambda made: document(made, "holdfast-settings.json")["env"],
    "codex": overrides,
    "opencode": opencode_model,
    "kilo": opencode_model,
    "copilot": lambda made: made.set,
    "kimi": lambda made: made.set,
    "hermes": lambda made: document(made, "config.yaml")["model"],
    "droid": lambda made: document(made, "holdfast-settings.json")["customModels"][0],
    "qwen": lambda made: document(made, "settings.json")["model"],
    "continue": lambda made: document(made, "config.yaml")["models"][0],
    "aider": lambda made: document(made, "model-metadata.json")[f"openai/{PIN.model}"],
    "llm": lambda made: document(made, "extra-openai-models.yaml")[0],
    "crush": lambda made: document(made, "crush.json")["providers"][SLUG]["models"][0],
    "goose": lambda made: document(made, f"config/custom_providers/{SLUG}.json")["models"][0],
}
"""The object of each program's own settings that tells about the model."""


@pytest.mark.parametrize("name", sorted(name for name, harness in HARNESSES.items() if not harness.no_plan))
def test_a_program_is_told_what_is_known_of_the_model_and_nothing_else(name: str) -> None:
    dialect, wanted = LIMITS[name]
    after = TOLD_AT[name](plan(name, dialect, facts=FACTS))
    assert {member: after[member] for member in wanted} == wanted
    nothing = plan(name, dialect)
    if name == "aider":
        assert [file.path for file in nothing.files] == ["model-settings.yml"]
    elif name == "goose":
        assert document(nothing, f"config/custom_providers/{SLUG}.json")["models"] == []
    else:
        assert not wanted.keys() & TOLD_AT[name](nothing).keys()


def test_opencode_takes_no_limit_without_the_other() -> None:
    made = plan("opencode", CHAT, facts={"output": 9})
    assert TOLD_AT["opencode"](made)["limit"] == {"context": 0, "output": 9}


def test_claude_code_is_told_no_limit_of_output_above_what_it_asks_for_by_itself() -> None:
    made = TOLD_AT["claude"](plan("claude", MESSAGES, facts={"context": 1_000_000, "output": 128_000}))
    assert made["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "1000000"
    assert "CLAUDE_CODE_MAX_OUTPUT_TOKENS" not in made

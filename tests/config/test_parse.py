"""The configuration: what it may hold, how anything else is refused, and where each URL came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from holdfast.config import schema_file
from holdfast.config.converters import checked_reference
from holdfast.config.parse import parse
from holdfast.config.toml_text import join
from holdfast.core.config import Config, GatewaySettings, Limits, StoreSettings, near
from holdfast.core.errors import ConfigError, IdentityError
from holdfast.core.identity import Auth, Dialect, Pin, Provider, ProviderName, Strategy
from tables import rows

SCHEMA = Draft7Validator(json.loads(schema_file.text()))
PRESETS: dict[str, dict[str, Any]] = {
    "two-doors": {
        "name": "Two Doors",
        "env": ["TWO_DOORS_KEY"],
        "profile": "doors",
        "endpoints": {
            "openai-chat": "https://two.example/v1",
            "anthropic-messages": {"url": "https://two.example/anthropic", "auth": "x-api-key"},
        },
    },
    "local": {"auth": "none", "endpoints": {"openai-chat": "http://127.0.0.1:11434/v1"}},
}

SAME_MODEL = "names the same model as provider.p.models[0] | remove one of the two"
WRONG_FACTS: dict[str, list[tuple[str, object]]] = {
    "a whole number of tokens, such as 200_000": [
        *(("context", value) for value in (0, -1, True, 1.5, "128k", [1])),
        *(("output", value) for value in (0, False, "8192")),
    ],
    "a list of text, image, audio, video, pdf, none twice": [
        ("input", value) for value in ([], "text", ["text", "text"], ["smell"], [3], {"text": True})
    ],
    "true or false": [("reasoning", value) for value in ("true", 1, "high")],
}
NEVER_PASSES = "it never passes between a caller and a provider"
KEY_OF_THE_PROVIDER = (
    "remove it; the provider's own key belongs in keys (holdfast key add PROVIDER --from env:NAME)"
)


def preset(name: str) -> Mapping[str, Any]:
    if name not in PRESETS:
        raise IdentityError(f"no preset is called '{name}'")
    return PRESETS[name]


def read(document: Mapping[str, object]) -> Config:
    """Return the configuration; what the parser takes, the JSON Schema takes too."""
    config = parse(document, presets=preset, locate=lambda path: f"file:{path}")
    assert SCHEMA.is_valid(document), [error.message for error in SCHEMA.iter_errors(document)]
    return config


def provider(**table: object) -> Provider:
    return read({"provider": {"p": table}}).providers[ProviderName("p")]


def problems(document: Mapping[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(document)
    return [f"{problem.path}: {problem.what} | {problem.fix}" for problem in caught.value.problems]


def urls(entry: Provider) -> dict[str, str]:
    return {endpoint.dialect: endpoint.url for endpoint in entry.endpoints}


def test_an_empty_document_is_an_empty_configuration_with_defaults() -> None:
    assert read({}) == Config({}, {}, Limits(), GatewaySettings())


def test_a_url_speaks_openai_chat_with_a_bearer_key_unless_something_else_is_said() -> None:
    (plain,) = provider(url="https://x.example/v1/").endpoints
    assert (plain.url, plain.dialect, plain.auth, plain.headers) == (
        "https://x.example/v1",
        Dialect.OPENAI_CHAT,
        Auth.BEARER,
        (),
    )
    (endpoint,) = provider(
        url="https://x.example", dialect="anthropic-messages", auth="x-api-key", headers={"X-Team": "a"}
    ).endpoints
    assert (endpoint.dialect, endpoint.auth, endpoint.headers) == (
        Dialect.ANTHROPIC_MESSAGES,
        Auth.X_API_KEY,
        (("X-Team", "a"),),
    )


def test_a_provider_may_name_further_headers_that_pass() -> None:
    assert provider(
        url="https://x.example", forward_headers=["X-Team", "x-user-id", "x-team"]
    ).forward_headers == (
        "x-team",
        "x-user-id",
    )
    assert provider(url="https://x.example").forward_headers == ()


def test_an_endpoints_own_headers_may_say_where_a_gateway_product_sends_a_request() -> None:
    (endpoint,) = provider(url="https://x.example", headers={"x-portkey-provider": "openai"}).endpoints
    assert endpoint.headers == (("x-portkey-provider", "openai"),)


def test_each_dialect_may_have_its_own_url_auth_and_headers() -> None:
    entry = provider(
        auth="api-key",
        endpoints={
            "openai-chat": "https://x.example/v1",
            "anthropic-messages": {"url": "https://x.example/a", "auth": "x-api-key"},
        },
    )
    assert [(e.dialect, e.auth) for e in entry.endpoints] == [
        (Dialect.OPENAI_CHAT, Auth.API_KEY),
        (Dialect.ANTHROPIC_MESSAGES, Auth.X_API_KEY),
    ]


def test_a_preset_gives_endpoints_and_profile_and_no_models() -> None:
    entry = provider(preset="two-doors")
    assert urls(entry) == {
        "openai-chat": "https://two.example/v1",
        "anthropic-messages": "https://two.example/anthropic",
    }
    assert (entry.preset, entry.profile, entry.models, entry.keys) == ("two-doors", "doors", None, ())
    assert provider(preset="two-doors", profile="other").profile == "other"
    assert provider(url="https://x.example/v1").profile is None


def test_auth_beside_a_preset_holds_for_all_its_endpoints() -> None:
    assert {e.auth for e in provider(preset="two-doors", auth="api-key").endpoints} == {Auth.API_KEY}
    assert provider(preset="local", auth="bearer", keys=["env:A"]).endpoints[0].auth is Auth.BEARER


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        (["env:MIMO_KEY"], ["MIMO_KEY"]),
        (["store:b"], ["b"]),
        (
            ["file:/run/secrets/a", "cmd:op read x", "keyring:s/u"],
            ["file-d88eb6b8", "cmd-7e43c497", "keyring-388eec80"],
        ),
        ([{"from": "env:A", "label": "main"}, "env:B"], ["main", "B"]),
        (["env:" + "A" * 65, "env:_A"], ["env-acab3753", "env-4614f977"]),
        (["call:mine"], ["mine"]),
    ],
)
def test_a_key_is_labelled_by_its_user_else_by_where_it_is_kept(
    keys: list[object], labels: list[str]
) -> None:
    assert [key.label for key in provider(url="https://x.example/v1", keys=keys).keys] == labels


REFERENCES = ["env:A", "env:_A", "store:k2", "file:~/a", "file:~/b", "cmd:op read a", "keyring:s/u", "call:c"]


@given(
    st.lists(st.sampled_from(REFERENCES), unique=True).flatmap(
        lambda some: st.tuples(st.just(some), st.permutations(some))
    )
)
def test_a_label_never_depends_on_the_position_or_neighbours_of_a_key(
    drawn: tuple[list[str], list[str]],
) -> None:
    written, reordered = (provider(url="https://x.example/v1", keys=some).keys for some in drawn)
    alone = [key for ref in drawn[0] for key in provider(url="https://x.example/v1", keys=[ref]).keys]
    assert set(written) == set(reordered) == set(alone)


def test_a_key_may_have_an_account_and_endpoints_of_its_own() -> None:
    eu, plain = provider(
        url="https://x.example/v1",
        auth="api-key",
        keys=[{"from": "env:EU", "url": "https://eu.example/v1", "account": "team"}, "env:A"],
    ).keys
    assert [(e.url, e.dialect, e.auth) for e in eu.endpoints] == [
        ("https://eu.example/v1", Dialect.OPENAI_CHAT, Auth.API_KEY)
    ]
    assert (eu.account, plain.account, plain.endpoints) == ("team", None, ())
    (bound,) = provider(
        preset="two-doors",
        keys=[{"from": "env:EU", "endpoints": {"anthropic-messages": "https://eu.example"}}],
    ).keys
    assert [(e.url, e.dialect, e.auth) for e in bound.endpoints] == [
        ("https://eu.example", Dialect.ANTHROPIC_MESSAGES, Auth.X_API_KEY)
    ]


def test_the_url_of_a_key_speaks_what_its_provider_speaks() -> None:
    (key,) = provider(
        url="https://x.example",
        dialect="anthropic-messages",
        keys=[{"from": "env:EU", "url": "https://eu.example"}],
    ).keys
    assert key.endpoints[0].dialect is Dialect.ANTHROPIC_MESSAGES


def test_a_provider_without_keys_is_half_set_up_and_legal() -> None:
    assert provider(url="https://x.example/v1").keys == ()


def test_what_a_name_of_the_users_own_answers_as_is_kept_as_written() -> None:
    assert provider(url="https://x.example/v1", answers_as={"ours": "gpt-5"}).answers_as == (
        ("ours", "gpt-5"),
    )
    assert provider(url="https://x.example/v1").answers_as == ()


def test_models_strategy_and_an_empty_list_of_models_are_kept_as_written() -> None:
    entry = provider(url="https://x.example/v1", models=["a", "b/c:free"], strategy="round-robin")
    assert (entry.models, entry.strategy) == (("a", "b/c:free"), Strategy.ROUND_ROBIN)
    assert provider(url="https://x.example/v1", models=[]).models == ()


def test_a_fallback_lists_pins_and_a_time() -> None:
    entry = {"url": "https://x.example/v1"}
    config = read(
        {
            "provider": {"a": entry, "b": entry},
            "fallback": {"a/m": {"then": ["b/x/y"], "return_after": "10m"}, "b/m": {"then": ["a/m"]}},
        }
    )
    assert config.fallbacks[Pin.parse("a/m")].then == (Pin.parse("b/x/y"),)
    assert [fallback.return_after for fallback in config.fallbacks.values()] == [600.0, 600.0]


def test_settings_and_gateway_are_read_with_their_units() -> None:
    settings = {
        "probe_delays": [1, "500ms"],
        "replay_limit": "1MiB",
        "wait_budget": "1m60s",
        "known_good_days": 3,
        "connect_timeout": 2.5,
        "answer_timeout": "20m",
        "stall_timeout": "90s",
        "mask_answers": True,
    }
    gateway = {
        "listen": "[::1]:0",
        "store": "postgresql://db/holdfast",
        "public": True,
        "comment_after": "5s",
    }
    store = {"keep": "30d", "max_size": "1GiB", "forget_sessions": 86400}
    config = read({"settings": settings, "gateway": gateway, "store": store})
    assert config.store == StoreSettings(30 * 86400.0, 1024**3, 86400.0)
    assert config.settings == Limits((1.0, 0.5), 1024**2, 120.0, 3.0, 2.5, 1200.0, 90.0, mask_answers=True)
    assert config.gateway == GatewaySettings("[::1]:0", "postgresql://db/holdfast", True, comment_after=5.0)


def test_each_url_knows_who_set_it() -> None:
    table = {
        "preset": "two-doors",
        "url": "https://mine.example/v1",
        "keys": ["env:A", {"from": "env:B", "endpoints": {"openai-chat": "https://eu.example/v1"}}],
    }
    config = read(
        {"provider": {"p": table, "q.r": {"endpoints": {"openai-chat": {"url": "https://x.example/v1"}}}}}
    )
    plain, dotted = config.providers.values()
    chat, messages = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES
    assert (
        config.endpoint_source(plain, chat)
        == "provider.p.url, file:provider.p.url, instead of preset two-doors"
    )
    assert config.endpoint_source(plain, chat, plain.keys[0]) == config.endpoint_source(plain, chat)
    assert (
        config.endpoint_source(plain, chat, plain.keys[1])
        == "provider.p.keys[1].endpoints.openai-chat, file:provider.p.keys[1].endpoints.openai-chat"
    )
    assert config.endpoint_source(plain, messages) == ""
    assert (
        config.endpoint_source(dotted, chat)
        == 'provider."q.r".endpoints.openai-chat, file:provider."q.r".endpoints.openai-chat'
    )
    assert config.endpoint_source(dotted, messages) == ""


def test_places_are_looked_up_only_for_what_is_wrong() -> None:
    def locate(path: str) -> str:
        raise AssertionError(path)

    parse(
        {"provider": {"p": {"preset": "two-doors", "url": "https://x.example/v1"}}},
        presets=preset,
        locate=locate,
    )


URL = "https://x.example/v1"
NO_AMOUNT = 'must be seconds, or a string such as "90s", "10m" or "1h30m" | '
NO_TIMEOUT = 'must be more than 0 seconds, such as 90, "90s" or "10m" | '
NO_ADDRESS = (
    'endpoints.openai-chat: has no url, and no address is taken from elsewhere | write url = "https://…"'
)
ADD_KEY = "remove it, then: holdfast key add p --from env:VARIABLE"
NO_REFERENCE = (
    "must be a reference (env:, file:, cmd:, keyring:, store:, oauth:, wif:, call:): a literal key does not "
    "belong in this file | remove it, then: holdfast key add p --from env:VARIABLE"
)


@rows(
    ("table", "message"),
    [
        (
            {"url": "https://user:pw@x.example/v1"},
            (
                "url: https://****@x.example/v1 has a user or password: remove it (an @ of the path is %40)"
                " | holdfast key add PROVIDER --from env:NAME"
            ),
        ),
        ({"url": "ftp://user:pw@x.example/v1"}, "url: 'ftp://x.example/v1' is not an http(s) URL | "),
        ({"url": "sk-abcdefghijklmnopqrstuvwxyz"}, "url: '****' is not an http(s) URL | "),
        (
            {"url": URL + "/chat/completions"},
            f"url: an openai-chat endpoint is what precedes '/chat/completions' | write \"{URL}\"",
        ),
        (
            {"endpoints": {"anthropic-messages": "https://x.example/v1"}},
            (
                "endpoints.anthropic-messages: an anthropic-messages endpoint is what precedes '/v1' | write "
                '"https://x.example"'
            ),
        ),
        ({"url": 7}, "url: must be a string that is not empty | "),
        (
            {"url": URL, "endpoints": {"openai-chat": URL}},
            "endpoints: cannot be combined with url | write one of the two",
        ),
        (
            {"endpoints": {"openai-chat": URL}, "dialect": "openai-chat"},
            'dialect: is the dialect of url, but there is no url | write url = "https://…" too',
        ),
        (
            {"endpoints": {"openai": URL}},
            "endpoints.openai: must be one of openai-chat, openai-responses, anthropic-messages | ",
        ),
        ({"endpoints": {"openai-chat": {"auth": "bearer"}}}, NO_ADDRESS),
        ({"preset": "two-doors", "endpoints": {"openai-chat": {"auth": "bearer"}}}, NO_ADDRESS),
        (
            {"url": URL, "keys": [{"from": "env:A", "endpoints": {"openai-chat": {"auth": "api-key"}}}]},
            f"keys[0].{NO_ADDRESS}",
        ),
        ({"url": URL, "auth": "beerer"}, "auth: must be one of bearer, x-api-key, api-key, none | "),
        (
            {"url": URL, "headers": {"X Y": "a"}},
            "headers: must be a table of header names and ASCII strings | ",
        ),
        (
            {"url": URL, "headers": {"X-Goog-Api-Key": "a"}},
            (
                "headers: header 'X-Goog-Api-Key' carries a credential: a key belongs in keys, not in "
                "headers | "
            ),
        ),
        (
            {"url": URL, "headers": {"Content-Length": "1"}},
            (
                "headers: header 'Content-Length' describes one connection, so each side writes it "
                "for itself | "
            ),
        ),
        ({"url": URL, "headers": {"X-A": "a\x7f"}}, "headers: header 'X-A' holds a control character | "),
        ({"url": URL, "forward_headers": "X-A"}, "forward_headers: must be a list of strings, none twice | "),
        (
            {"url": URL, "forward_headers": ["x a"]},
            "forward_headers: 'x a' is not a header name | write one name, such as 'x-team'",
        ),
        (
            {"url": URL, "forward_headers": ["x-team", "X-Vault-Token"]},
            "forward_headers: 'X-Vault-Token' carries a credential: "
            + NEVER_PASSES
            + " | "
            + KEY_OF_THE_PROVIDER,
        ),
        (
            {"url": URL, "forward_headers": ["x-portkey-config"]},
            (
                "forward_headers: 'x-portkey-config' tells a proxy or a gateway who calls, or where to "
                "send the request: "
            )
            + NEVER_PASSES
            + " | remove it; a value that is the same for every request belongs in "
            + 'headers = { NAME = "…" }',
        ),
        (
            {"url": URL, "forward_headers": ["Location"]},
            (
                "forward_headers: 'Location' tells a browser, a proxy or an SDK what to do with an answer: "
                f"{NEVER_PASSES} | remove it"
            ),
        ),
        ({"url": URL, "models": "a"}, "models: must be a list | "),
        (
            {"url": URL, "models": ["a", 3]},
            (
                "models[1]: must be the name of a model, or a table of it | "
                'write { id = "NAME", context = 200_000 }'
            ),
        ),
        ({"url": URL, "models": ["a", "a"]}, f"models[1]: {SAME_MODEL}"),
        ({"url": URL, "models": ["a", {"id": "a"}]}, f"models[1]: {SAME_MODEL}"),
        (
            {"url": URL, "models": [" a"]},
            "models[0]: 'p/ a' names no model: a pin is provider/model | holdfast models --provider p",
        ),
        (
            {"url": URL, "models": [{"id": ""}]},
            "models[0].id: must be a string that is not empty | ",
        ),
        (
            {"url": URL, "models": [{"context": 1}]},
            "models[0]: has no 'id': the name of the model | write { id = \"NAME\" }",
        ),
        (
            {"url": URL, "models": [{"id": "a", "contxt": 1}]},
            "models[0].contxt: unknown key 'contxt' | did you mean 'context'?",
        ),
        (
            {"url": URL, "models": [{"id": "a", "maxTokens": 1}]},
            "models[0].maxTokens: unknown key 'maxTokens' | did you mean 'output'?",
        ),
        *(
            (
                {"url": URL, "models": [{"id": "a", member: value}]},
                f"models[0].{member}: must be {wanted} | ",
            )
            for wanted, cases in WRONG_FACTS.items()
            for member, value in cases
        ),
        (
            {"url": URL, "answers_as": {"m": 5}},
            'answers_as: must be a table of names, such as { "my-deployment" = "gpt-5" } | ',
        ),
        (
            {"url": URL, "answers_as": {" m": "a"}},
            "answers_as: 'p/ m' names no model: a pin is provider/model | holdfast models --provider p",
        ),
        ({"url": URL, "modles": []}, "modles: unknown key 'modles' | did you mean 'models'?"),
        ({"url": URL, "base_url": URL}, "base_url: unknown key 'base_url' | did you mean 'url'?"),
        (
            {"url": URL, "zzz": 1},
            (
                "zzz: unknown key 'zzz' | known here: answers_as, auth, caps, dialect, endpoints, "
                "forward_headers, headers, keys, models, preset, profile, strategy, translate, url"
            ),
        ),
        (
            {"url": URL, "api_key": "sk-abcdefghijklmnopqrst"},
            (
                "api_key: a literal key does not belong in this file | "
                "remove it, then: holdfast key add p --from env:VARIABLE"
            ),
        ),
        ({"url": URL, "preset": "none-such"}, "preset: no preset is called 'none-such' | "),
        ({"url": URL, "keys": "env:A"}, "keys: must be a list | "),
        ({"url": URL, "keys": ["sk-abcdefghijklmnopqrst"]}, "keys[0]: " + NO_REFERENCE),
        ({"url": URL, "keys": [{"from": "tp-abcdefghijklmnopqrst"}]}, "keys[0].from: " + NO_REFERENCE),
        (
            {"url": URL, "keys": ["env:sk-abcdefghijklmnopqrst"]},
            "keys[0]: must look like env:VARIABLE | remove it, then: holdfast key add p --from env:VARIABLE",
        ),
        (
            {"url": URL, "keys": ["file:key.txt"]},
            f"keys[0]: must look like file:/PATH or file:~/PATH | {ADD_KEY}",
        ),
        (
            {"url": URL, "keys": [{"label": "a"}]},
            (f"keys[0]: has no 'from': a key is a reference to where it is kept | {ADD_KEY}"),
        ),
        (
            {"url": URL, "keys": [{"from": "env:A", "value": "data.token"}]},
            "keys[0].value: 'env:' has no value: only cmd: and file: do | remove it",
        ),
        (
            {"url": URL, "keys": [{"from": "cmd:a", "value": "data..token"}]},
            "keys[0].value: must be names with dots between them, such as data.token | ",
        ),
        ({"url": URL, "keys": [{"from": 3}]}, "keys[0].from: must be a string that is not empty | "),
        (
            {"url": URL, "keys": [{"from": "env:A", "labl": "b"}]},
            "keys[0].labl: unknown key 'labl' | did you mean 'label'?",
        ),
        (
            {"url": URL, "keys": [{"from": "env:A", "label": "a b"}]},
            "keys[0].label: must be a short name of letters, digits, '.', '_' and '-' | ",
        ),
        (
            {"url": URL, "keys": ["env:A", "env:A"]},
            "keys[1]: 'env:A' is listed twice | remove one of the two",
        ),
        (
            {"url": URL, "keys": ["env:A", {"from": "env:B", "label": "A"}]},
            "keys[1]: 'A' is listed twice | give it another label = \"…\"",
        ),
        (
            {"preset": "two-doors", "keys": [{"from": "env:A", "url": URL}]},
            (
                "keys[0].url: 'p' speaks openai-chat, anthropic-messages: which one does this URL speak? | "
                'write endpoints = { DIALECT = "https://…" }'
            ),
        ),
        (
            {"preset": "local", "keys": ["env:A"]},
            'keys: this provider takes no key (auth = "none") | write auth = "bearer", or remove the keys',
        ),
    ],
)
def test_a_mistake_in_a_provider_is_reported_with_its_path_and_fix(
    table: dict[str, object], message: str
) -> None:
    assert problems({"provider": {"p": table}}) == [f"provider.p.{message}"]


@rows(
    ("document", "message"),
    [
        ({"providers": {}}, "providers: unknown key 'providers' | did you mean 'provider'?"),
        ({"provider": []}, "provider: must be a table | "),
        ({"provider": {"p": "https://x.example"}}, "provider.p: must be a table | "),
        (
            {"provider": {"p": {}}},
            "provider.p: provider 'p' has no endpoint | holdfast provider add p --url URL",
        ),
        (
            {"provider": {"p": {"preset": "two-doors", "endpoints": {}}}},
            "provider.p: provider 'p' has no endpoint | holdfast provider add p --url URL",
        ),
        (
            {"provider": {"custom": {"url": URL}}},
            (
                "provider.custom: 'custom' is a kind, not a name: two such entries could not be told apart | "
                "holdfast provider add NAME --url URL   (a name of your own, such as 'my-gateway')"
            ),
        ),
        (
            {"provider": {"p": {"url": URL}}, "fallback": {"p/m": {"then": ["pp/m"]}}},
            "fallback.\"p/m\".then: 'pp/m' names a provider that is not in this file | did you mean 'p'?",
        ),
        (
            {"provider": {"p": {"url": URL}}, "fallback": {"p": {"then": ["p/m"]}}},
            "fallback.p: 'p' is not a pin: write provider/model | holdfast models",
        ),
        (
            {"provider": {"p": {"url": URL}}, "fallback": {"p/m": {"then": ["m"]}}},
            "fallback.\"p/m\".then: 'm' is not a pin: write provider/model | holdfast models",
        ),
        (
            {"provider": {"p": {"url": URL}}, "fallback": {"p/m": {"then": ["p/m"]}}},
            "fallback.\"p/m\": the fallbacks of 'p/m' name a pin twice, or 'p/m' itself | ",
        ),
        (
            {"provider": {"p": {"url": URL}}, "fallback": {"p/m": {"then": ["p/n"], "return_after": "soon"}}},
            f'fallback."p/m".return_after: {NO_AMOUNT}',
        ),
        ({"settings": {"wait_budget": True}}, f"settings.wait_budget: {NO_AMOUNT}"),
        ({"settings": {"wait_budget": float("inf")}}, f"settings.wait_budget: {NO_AMOUNT}"),
        ({"settings": {"wait_budget": "90"}}, f"settings.wait_budget: {NO_AMOUNT}"),
        ({"settings": {"wait_budget": "1MiB"}}, f"settings.wait_budget: {NO_AMOUNT}"),
        ({"settings": {"stall_timeout": 0}}, f"settings.stall_timeout: {NO_TIMEOUT}"),
        ({"settings": {"connect_timeout": "soon"}}, f"settings.connect_timeout: {NO_TIMEOUT}"),
        ({"gateway": {"comment_after": -1}}, f"gateway.comment_after: {NO_AMOUNT}"),
        ({"settings": {"wait_budget": "-5s"}}, f"settings.wait_budget: {NO_AMOUNT}"),
        (
            {"settings": {"replay_limit": "10m"}},
            'settings.replay_limit: must be a number of bytes, or a string such as "32MiB" | ',
        ),
        (
            {"settings": {"known_good_days": "7d"}},
            "settings.known_good_days: must be a number that is not negative | ",
        ),
        ({"settings": {"probe_delays": [-1]}}, f"settings.probe_delays: {NO_AMOUNT}"),
        (
            {"gateway": {"listen": "h:65536"}},
            'gateway.listen: must be host:port, such as "127.0.0.1:4141" | ',
        ),
        ({"gateway": {"listen": "4141"}}, 'gateway.listen: must be host:port, such as "127.0.0.1:4141" | '),
        ({"gateway": {"listen": "h:http"}}, 'gateway.listen: must be host:port, such as "127.0.0.1:4141" | '),
        ({"gateway": {"public": "yes"}}, "gateway.public: must be true or false | "),
        (
            {"gateway": {"store": "postgresql://u:pw@db/x"}},
            (
                'gateway.store: must be "sqlite:PATH", "memory:" or "postgresql://…" (its password in '
                "PGPASSWORD or ~/.pgpass) | "
            ),
        ),
        (
            {"gateway": {"store": 3}},
            (
                'gateway.store: must be "sqlite:PATH", "memory:" or "postgresql://…" (its password in '
                "PGPASSWORD or ~/.pgpass) | "
            ),
        ),
    ],
)
def test_a_mistake_elsewhere_is_reported_with_its_path_and_fix(
    document: dict[str, object], message: str
) -> None:
    assert problems(document) == [message]


def test_all_problems_are_reported_at_once() -> None:
    wrong = problems(
        {
            "provider": {"auto": {"keys": ["literal"], "url": "x"}, "p": {"urll": URL}},
            "settings": {"wait": 1},
            "more": {},
        }
    )
    assert [problem.partition(":")[0] for problem in wrong] == [
        "more",
        "provider.auto",
        "provider.auto.url",
        "provider.auto.keys[0]",
        "provider.p.urll",
        "settings.wait",
    ]


SECRETS = [
    "sk-ant-REALLYSECRET0000",
    "REALLYSECRET2222 with spaces",
    "AIzaREALLYSECRET3333",
    "op://vault/REALLYSECRET",
    "sk:REALLYSECRET4444",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_literal_key_is_never_repeated_wherever_it_stands(secret: str) -> None:
    table = {
        "url": f"https://me:{secret}@x.example/v1",
        "api_key": secret,
        "auth": secret,
        "strategy": secret,
        "headers": {"Authorization": secret},
        "keys": [
            secret,
            {"from": secret},
            {"from": "env:" + secret},
            {"token": secret},
            {"from": "env:A", "label": f"{secret} "},
            [secret],
        ],
        "models": [secret, secret],
    }
    with pytest.raises(ConfigError) as caught:
        read({"provider": {"p": table}, "gateway": {"store": f"postgresql://u:{secret}@db/x"}})
    assert "REALLYSECRET" not in str(caught.value)
    assert caught.value.exit_code == 2


NAMES = [
    "provider", "p", "custom", "url", "endpoints", "openai-chat", "auth", "headers", "models", "keys", "from",
    "label", "preset", "dialect", "fallback", "p/m", "then", "return_after", "settings", "probe_delays",
    "gateway", "listen", "store", "", "x y",
]  # fmt: skip
VALUES = [
    "env:A", "two-doors", "p/m", "https://x.example/v1", "http://[", "//@", "", "bearer", "openai-chat",
    "10m",
]  # fmt: skip
LEAVES = st.one_of(
    st.sampled_from(VALUES),
    st.text(max_size=5),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(NAMES), children, max_size=4)
    ),
    max_leaves=25,
)


@given(
    st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=4),
    st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=6),
)
def test_any_content_of_the_file_is_a_configuration_or_a_config_error(
    document: dict[str, object], table: dict[str, object]
) -> None:
    with suppress(ConfigError):
        read({**document, "provider": {"p": {"url": "https://x.example/v1", **table}}})


def test_a_reference_that_is_one_comes_back_unchanged() -> None:
    references = ["env:A", "file:~/k", "cmd:op read x", "keyring:s/u", "store:b"]
    assert [checked_reference(reference) for reference in references] == references


def test_paths_are_quoted_as_toml_wants_it() -> None:
    assert (join("", "a"), join("a", "b-c"), join("a", "b.c"), join("a", 'b"c')) == (
        "a",
        "a.b-c",
        'a."b.c"',
        'a."b\\"c"',
    )


def test_a_hint_names_the_nearest_else_all_else_nothing() -> None:
    hints = near("mod", ["models", "keys"]), near("zzz", ["b", "a"]), near("a", [])
    assert hints == ("did you mean 'models'?", "known here: a, b", "known here: nothing yet")

"""Crush, from its documentation and source (37f36e93); never driven. Its configuration is a file of its own;
`run` gets the model said."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_TYPES = {Dialect.OPENAI_CHAT: "openai-compat", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    entry: dict[str, object] = {
        "name": way.slug,
        "type": _TYPES[way.dialect],
        "base_url": way.versioned_url,
        "api_key": f"${TOKEN}",
        "models": [
            {"id": way.model, "name": way.model, "context_window": 128_000, "default_max_tokens": 16_384}
        ],
    }
    if way.endpoint.headers:
        entry["extra_headers"] = dict(way.endpoint.headers)
    both = {size: {"provider": way.slug, "model": way.model} for size in ("large", "small")}
    config = {
        "providers": {way.slug: entry},
        "models": both,
        "options": {"disable_default_providers": True, "disable_provider_auto_update": True},
    }
    arguments = task.arguments
    if arguments[:1] == ("run",):
        arguments = ("run", "--model", f"{way.slug}/{way.model}", *arguments[1:])
    return Handover(
        "crush",
        ("crush", *arguments),
        (File("crush.json", pretty(config)),),
        {
            "CRUSH_GLOBAL_CONFIG": task.directory,
            "CRUSH_GLOBAL_DATA": task.directory,
            "CRUSH_DISABLE_DEFAULT_PROVIDERS": "1",
            "CRUSH_DISABLE_PROVIDER_AUTO_UPDATE": "1",
        },
        (*EVERYWHERE, "CRUSH_*"),
        TOKEN,
        expected(way),
        project=("crush.json", ".crush.json", ".crushrc"),
    )


HARNESS = Harness(
    "crush",
    "Crush",
    "crush",
    "npm install -g @charmland/crush",
    (Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    _plan,
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("-m", "--model", "--small-model"),
)

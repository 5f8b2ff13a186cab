"""Goose, from its documentation; never driven. A declarative provider in a root of its own, chosen by two
variables."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_ENGINES = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    provider = {
        "name": way.slug,
        "engine": _ENGINES[way.dialect],
        "display_name": way.slug,
        "description": "handed over by Holdfast",
        "api_key_env": TOKEN,
        "base_url": way.versioned_url,
        "models": [{"name": way.model, "context_limit": 128_000}],
        "headers": dict(way.endpoint.headers) or None,
        "supports_streaming": True,
        "requires_auth": True,
    }
    return Handover(
        "goose",
        ("goose", *task.arguments),
        (File(f"config/custom_providers/{way.slug}.json", pretty(provider)),),
        {
            "GOOSE_PATH_ROOT": task.directory,
            "GOOSE_PROVIDER": way.slug,
            "GOOSE_MODEL": way.model,
            "GOOSE_DISABLE_KEYRING": "1",
        },
        (*EVERYWHERE, "GOOSE_*"),
        TOKEN,
        expected(way),
    )


HARNESS = Harness(
    "goose",
    "Goose",
    "goose",
    "brew install block-goose-cli",
    (Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    _plan,
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("--model", "--provider"),
)

"""Goose, from its documentation; never driven. A declarative provider in a root of its own, chosen by two
variables."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_ENGINES = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _plan(request: LaunchRequest) -> Handover:
    target, known = request.target, []
    if "context" in target.facts:
        known = [{"name": target.model, "context_limit": target.facts["context"]}]
    provider = {
        "name": target.slug,
        "engine": _ENGINES[target.dialect],
        "display_name": target.slug,
        "description": "handed over by Holdfast",
        "api_key_env": TOKEN,
        "base_url": target.versioned_url,
        "models": known,  # it takes none without its limit, and asks for GOOSE_MODEL in any case
        "headers": dict(target.endpoint.headers) or None,
        "supports_streaming": True,
        "requires_auth": True,
    }
    return Handover(
        harness="goose",
        argv=("goose", *request.arguments),
        files=(File(f"config/custom_providers/{target.slug}.json", pretty(provider)),),
        set={
            "GOOSE_PATH_ROOT": request.directory,
            "GOOSE_PROVIDER": target.slug,
            "GOOSE_MODEL": target.model,
            "GOOSE_DISABLE_KEYRING": "1",
        },
        unset=(*EVERYWHERE, "GOOSE_*"),
        secret=TOKEN,
        expected=expected(target),
    )


HARNESS = Harness(
    name="goose",
    title="Goose",
    executable="goose",
    install="brew install block-goose-cli",
    speaks=(Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("--model", "--provider"),
)

"""Crush, from its documentation and source (37f36e93); never driven. Its configuration is a file of its own;
`run` gets the model as an argument."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, named, pretty
from .environment import EVERYWHERE

_FACTS = {"context_window": "context", "default_max_tokens": "output", "can_reason": "reasoning"}
_TYPES = {Dialect.OPENAI_CHAT: "openai-compat", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _plan(request: LaunchRequest) -> Handover:
    target, kinds = request.target, request.target.facts.get("input", ())
    entry: dict[str, object] = {
        "name": target.slug,
        "type": _TYPES[target.dialect],
        "base_url": target.versioned_url,
        "api_key": f"${TOKEN}",
        "models": [
            {
                "id": target.model,
                "name": target.model,
                # Without a limit it neither shortens a conversation by itself nor asks for one.
                **named(target.facts, _FACTS),
                **({"supports_attachments": "image" in kinds} if kinds else {}),
            }
        ],
    }
    if target.endpoint.headers:
        entry["extra_headers"] = dict(target.endpoint.headers)
    both = {size: {"provider": target.slug, "model": target.model} for size in ("large", "small")}
    config = {
        "providers": {target.slug: entry},
        "models": both,
        "options": {"disable_default_providers": True, "disable_provider_auto_update": True},
    }
    arguments = request.arguments
    if arguments[:1] == ("run",):
        arguments = ("run", "--model", f"{target.slug}/{target.model}", *arguments[1:])
    return Handover(
        harness="crush",
        argv=("crush", *arguments),
        files=(File("crush.json", pretty(config)),),
        set={
            "CRUSH_GLOBAL_CONFIG": request.directory,
            "CRUSH_GLOBAL_DATA": request.directory,
            "CRUSH_DISABLE_DEFAULT_PROVIDERS": "1",
            "CRUSH_DISABLE_PROVIDER_AUTO_UPDATE": "1",
        },
        unset=(*EVERYWHERE, "CRUSH_*"),
        secret=TOKEN,
        expected=expected(target),
        project=("crush.json", ".crush.json", ".crushrc"),
    )


HARNESS = Harness(
    name="crush",
    title="Crush",
    executable="crush",
    install="npm install -g @charmland/crush",
    speaks=(Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("-m", "--model", "--small-model"),
)

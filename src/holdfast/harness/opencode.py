"""opencode: its whole configuration in one variable, which overrides a project's file; its own directories
are private.

Without its key's variable it would send requests without a key. `enabled_providers` and `small_model` make
its secondary requests (titles, summaries) use the same connection."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import (
    ANY_AUTH,
    TOKEN,
    Attachment,
    ConnectOffer,
    Handover,
    Harness,
    LaunchRequest,
    Target,
    compact,
    expected,
)
from .environment import EVERYWHERE
from .opencode_settings import SETTINGS

_PACKAGES = {
    Dialect.OPENAI_CHAT: "@ai-sdk/openai-compatible",
    Dialect.OPENAI_RESPONSES: "@ai-sdk/openai",
    Dialect.ANTHROPIC_MESSAGES: "@ai-sdk/anthropic",
}
_NATIVE = {
    Dialect.OPENAI_CHAT: Auth.BEARER,
    Dialect.OPENAI_RESPONSES: Auth.BEARER,
    Dialect.ANTHROPIC_MESSAGES: Auth.X_API_KEY,
}
_NAMES = {
    Dialect.OPENAI_CHAT: "holdfast",
    Dialect.OPENAI_RESPONSES: "holdfast-responses",
    Dialect.ANTHROPIC_MESSAGES: "holdfast-messages",
}
_RUN = ("run",)


def entry(target: Target, token: str, models: list[str]) -> dict[str, object]:
    """Return the entry of `provider`. `token` is opencode's reference to the key."""
    options: dict[str, object] = {"baseURL": target.versioned_url, "apiKey": token}
    headers = dict(target.endpoint.headers)
    if target.endpoint.auth not in (Auth.NONE, Auth.BEARER, _NATIVE[target.dialect]):
        headers[str(target.endpoint.auth)] = token
    if target.endpoint.auth is Auth.NONE:
        del options["apiKey"]
    if headers:
        options["headers"] = headers
    return {
        "npm": _PACKAGES[target.dialect],
        "name": target.slug,
        "options": options,
        "models": {model: limits(target.facts) for model in models},
    }


def limits(facts: ModelFacts) -> dict[str, object]:
    """Return the entry of a model with what is known of it. opencode refuses a limit without the other: 0 is
    its own word for one that is not known."""
    known: dict[str, object] = {}
    if "context" in facts or "output" in facts:
        known["limit"] = {"context": facts.get("context", 0), "output": facts.get("output", 0)}
    if "input" in facts:
        known["modalities"] = {"input": list(facts["input"]), "output": ["text"]}
        known["attachment"] = len(facts["input"]) > 1
    if "reasoning" in facts:
        known["reasoning"] = facts["reasoning"]
    return known


def _plan(request: LaunchRequest) -> Handover:
    return plan_of(request, "opencode", {})


def plan_of(request: LaunchRequest, program: str, switches: Mapping[str, str]) -> Handover:
    """Return the plan for opencode, or for a program that is made of it and reads its variables under another
    beginning; `switches` are more of its own."""
    target, model = request.target, f"{request.target.slug}/{request.target.model}"
    prefix = program.upper()
    config = {
        "model": model,
        "small_model": model,
        "enabled_providers": [target.slug],
        "share": "disabled",
        "provider": {target.slug: entry(target, f"{{env:{TOKEN}}}", [target.model])},
    }
    own = {
        f"XDG_{kind}_HOME": f"{request.directory}/{kind.lower()}"
        for kind in ("CONFIG", "DATA", "CACHE", "STATE")
    }
    disabled = {f"{prefix}_DISABLE_{what}": "1" for what in ("PROJECT_CONFIG", "MODELS_FETCH", "AUTOUPDATE")}
    return Handover(
        harness=program,
        argv=(program, *_with_model(request.arguments, model)),
        files=(),
        set={**own, **disabled, **switches, f"{prefix}_CONFIG_CONTENT": compact(config)},
        unset=(*EVERYWHERE, f"{prefix}_*"),
        secret="" if target.endpoint.auth is Auth.NONE else TOKEN,
        expected=expected(target),
        proof="providerID and modelID in the events of `run --format json`",
    )


def _with_model(arguments: tuple[str, ...], model: str) -> tuple[str, ...]:
    """Return the arguments with the model where a request begins: a resumed session would take the one that
    it had."""
    if arguments[:1] == _RUN:
        return (*_RUN, "--model", model, *arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        return arguments  # another subcommand
    return ("--model", model, *arguments)


def attach(
    offer: ConnectOffer,
    program: str = "opencode",
    names: tuple[str, ...] = ("opencode.jsonc", "opencode.json"),
) -> Attachment:
    """Attach by a provider for each dialect that is needed, because the package decides the dialect; the key
    comes from a file. `program` is opencode, or one that is made of it and has the files of these `names`."""
    members: list[tuple[tuple[str, ...], object]] = []
    for dialect in dict.fromkeys(dialect for _, dialect in offer.models):
        url = offer.url(dialect)
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            url += "/v1"
        entry = {
            "npm": _PACKAGES[dialect],
            "name": f"Holdfast ({dialect})",
            "options": {
                "baseURL": url,
                "apiKey": f"{{file:{offer.token_file}}}",
            },
            "models": {pin: limits(offer.facts_of(pin)) for pin, spoken in offer.models if spoken is dialect},
        }
        members.append((("provider", _NAMES[dialect]), entry))
    begin = next(
        (f"{_NAMES[dialect]}/{pin}" for pin, dialect in offer.models if pin == offer.pin),
        "holdfast/PROVIDER/MODEL",
    )
    return Attachment(
        variable="XDG_CONFIG_HOME",
        directory=".config",
        names=tuple(f"{program}/{name}" for name in names),
        members=tuple(members),
        use=f"{program} --model {begin}",
    )


HARNESS = Harness(
    name="opencode",
    title="opencode",
    executable="opencode",
    install="npm install -g opencode-ai",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    oldest="1.0",
    tested="1.18.33",
    shows={
        Dialect.OPENAI_CHAT: ANY_AUTH,
        Dialect.OPENAI_RESPONSES: ANY_AUTH - {Auth.NONE},
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    attach=attach,
    settings=SETTINGS,
    chooses=("-m", "--model"),
)

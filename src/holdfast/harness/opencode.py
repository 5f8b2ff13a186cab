"""opencode: its whole configuration in one variable, which beats a project's file; its own directories are
private.

Without its key's variable it would send requests that carry no key; `enabled_providers` and `small_model`
keep its side requests here."""

from __future__ import annotations

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
_TOLD = ("run",)


def entry(way: Target, token: str, models: list[str]) -> dict[str, object]:
    """The entry of `provider`. `token` is opencode's reference to the key."""
    options: dict[str, object] = {"baseURL": way.versioned_url, "apiKey": token}
    headers = dict(way.endpoint.headers)
    if way.endpoint.auth not in (Auth.NONE, Auth.BEARER, _NATIVE[way.dialect]):
        headers[str(way.endpoint.auth)] = token
    if way.endpoint.auth is Auth.NONE:
        del options["apiKey"]
    if headers:
        options["headers"] = headers
    return {
        "npm": _PACKAGES[way.dialect],
        "name": way.slug,
        "options": options,
        "models": {model: {} for model in models},
    }


def _plan(task: LaunchRequest) -> Handover:
    way, model = task.way, f"{task.way.slug}/{task.way.model}"
    config = {
        "model": model,
        "small_model": model,
        "enabled_providers": [way.slug],
        "share": "disabled",
        "provider": {way.slug: entry(way, f"{{env:{TOKEN}}}", [way.model])},
    }
    own = {
        f"XDG_{kind}_HOME": f"{task.directory}/{kind.lower()}"
        for kind in ("CONFIG", "DATA", "CACHE", "STATE")
    }
    switches = dict.fromkeys(
        ("OPENCODE_DISABLE_PROJECT_CONFIG", "OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_AUTOUPDATE"),
        "1",
    )
    return Handover(
        "opencode",
        ("opencode", *_placed(task.arguments, model)),
        (),
        {**own, **switches, "OPENCODE_CONFIG_CONTENT": compact(config)},
        (*EVERYWHERE, "OPENCODE_*"),
        "" if way.endpoint.auth is Auth.NONE else TOKEN,
        expected(way),
        proof="providerID and modelID in the events of `run --format json`",
    )


def _placed(arguments: tuple[str, ...], model: str) -> tuple[str, ...]:
    """The model said again where a request begins: a resumed session would take the one it remembers."""
    if arguments[:1] == _TOLD:
        return (*_TOLD, "--model", model, *arguments[1:])
    return ("--model", model, *arguments) if not arguments or arguments[0].startswith("-") else arguments


def _attach(offer: ConnectOffer) -> Attachment:
    """A provider for each dialect that is needed, because the package decides the wire; the key comes from a
    file."""
    members: list[tuple[tuple[str, ...], object]] = []
    for dialect in dict.fromkeys(dialect for _, dialect in offer.models):
        version = "/v1" if dialect is Dialect.ANTHROPIC_MESSAGES else ""
        entry = {
            "npm": _PACKAGES[dialect],
            "name": f"Holdfast ({dialect})",
            "options": {
                "baseURL": f"{offer.url(dialect)}{version}",
                "apiKey": f"{{file:{offer.token_file}}}",
            },
            "models": {pin: {} for pin, one in offer.models if one is dialect},
        }
        members.append((("provider", _NAMES[dialect]), entry))
    begin = next(
        (f"{_NAMES[dialect]}/{pin}" for pin, dialect in offer.models if pin == offer.pin),
        "holdfast/PROVIDER/MODEL",
    )
    return Attachment(
        "XDG_CONFIG_HOME",
        ".config",
        ("opencode/opencode.jsonc", "opencode/opencode.json"),
        tuple(members),
        f"opencode --model {begin}",
    )


HARNESS = Harness(
    "opencode",
    "opencode",
    "opencode",
    "npm install -g opencode-ai",
    (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    _plan,
    oldest="1.0",
    tested="1.18.33",
    shows={
        Dialect.OPENAI_CHAT: ANY_AUTH,
        Dialect.OPENAI_RESPONSES: ANY_AUTH - {Auth.NONE},
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    attach=_attach,
    chooses=("-m", "--model"),
)

"""Pi (@earendil-works/pi-coding-agent, before 0.74 @mariozechner/pi-coding-agent): models.json in a directory
of its own.

Its reference to a variable changed with its versions: `NAME` up to 0.76, `$NAME` from 0.77 on. The wrong one
sends the variable's name as the key. Its models.json beats its own table, its auth.json beats models.json:
ours is empty."""

from __future__ import annotations

from shlex import quote

from ..core.identity import Auth, Dialect
from .base import (
    ANY_AUTH,
    TOKEN,
    Attachment,
    ConnectOffer,
    File,
    Handover,
    Harness,
    LaunchRequest,
    Target,
    expected,
    pretty,
)
from .environment import EVERYWHERE

_APIS = {
    Dialect.OPENAI_CHAT: "openai-completions",
    Dialect.OPENAI_RESPONSES: "openai-responses",
    Dialect.ANTHROPIC_MESSAGES: "anthropic-messages",
}
_DOLLAR_SINCE = (0, 77)
_KEYED = ANY_AUTH - {Auth.NONE}


def reference(version: tuple[int, ...]) -> str:
    """How this version is told to look into the variable; the newest way where the version is not known."""
    return f"${TOKEN}" if not version or version >= _DOLLAR_SINCE else TOKEN


def provider(way: Target, token: str, models: list[str]) -> dict[str, object]:
    """The entry of models.json. `token` is Pi's reference to the key."""
    native = Auth.X_API_KEY if way.dialect is Dialect.ANTHROPIC_MESSAGES else Auth.BEARER
    headers = dict(way.endpoint.headers)
    if way.endpoint.auth not in (native, Auth.BEARER):
        headers[str(way.endpoint.auth)] = token
    entry: dict[str, object] = {
        "baseUrl": way.bare_url if way.dialect is Dialect.ANTHROPIC_MESSAGES else way.url,
        "api": _APIS[way.dialect],
        "apiKey": token,
        "models": [{"id": model, "name": model} for model in models],
    }
    return (
        entry
        | ({"headers": headers} if headers else {})
        | ({"authHeader": True} if way.endpoint.auth is Auth.BEARER and native is not Auth.BEARER else {})
    )


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    models = {"providers": {way.slug: provider(way, reference(task.version), [way.model])}}
    # Under the gateway recovery has one owner; a file of the user's settings stays theirs once it is there.
    settings = {} if way.direct else {"retry": {"enabled": False}}
    return Handover(
        "pi",
        ("pi", "--provider", way.slug, "--model", way.model, *task.arguments),
        (
            File("models.json", pretty(models)),
            File("auth.json", "{}\n"),
            File("settings.json", pretty(settings), keep=True),
        ),
        {
            "PI_CODING_AGENT_DIR": task.directory,
            "PI_OFFLINE": "1",
            "PI_SKIP_VERSION_CHECK": "1",
            "PI_TELEMETRY": "0",
        },
        (*EVERYWHERE, "PI_*"),
        TOKEN,
        expected(way),
        proof="`get_state` of its RPC mode, or provider and model in the events of --mode json",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """One provider with every pin as a model; each model says which dialect it is asked for in."""
    models = [
        {"id": pin, "name": pin, "api": _APIS[dialect], "baseUrl": offer.url(dialect)}
        for pin, dialect in offer.models
    ]
    entry = {
        "baseUrl": offer.url(Dialect.OPENAI_CHAT),
        "api": _APIS[Dialect.OPENAI_CHAT],
        "apiKey": f"!cat {quote(offer.token_file)}",
        "models": models,
    }
    use = f"pi --provider holdfast --model {offer.pin or 'PROVIDER/MODEL'}   (or choose it with /model)"
    return Attachment(
        "PI_CODING_AGENT_DIR", ".pi/agent", ("models.json",), ((("providers", "holdfast"), entry),), use
    )


HARNESS = Harness(
    "pi",
    "Pi",
    "pi",
    "npm install -g @earendil-works/pi-coding-agent",
    (Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    _plan,
    oldest="0.73.1",
    tested="1.5.2",
    shows=dict.fromkeys(_APIS, _KEYED),
    attach=_attach,
    chooses=("--provider", "--model", "--models", "--api-key", "--offline="),
)

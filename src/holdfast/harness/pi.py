"""Pi (@earendil-works/pi-coding-agent, before 0.74 @mariozechner/pi-coding-agent): models.json in a directory
of its own.

Its reference to a variable changed with its versions: `NAME` up to 0.76, `$NAME` from 0.77 on. The wrong one
sends the variable's name as the key. Its models.json overrides its own table, and its auth.json overrides
models.json: ours is empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from shlex import join

from ..core.config import ModelFacts
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
    named,
    pretty,
)
from .environment import EVERYWHERE
from .own_settings import Effect, Layer, OwnSettings, Rule, Scope, home_of, is_given, of_json
from .target_forms import usual_url

_APIS = {
    Dialect.OPENAI_CHAT: "openai-completions",
    Dialect.OPENAI_RESPONSES: "openai-responses",
    Dialect.ANTHROPIC_MESSAGES: "anthropic-messages",
}
_FACTS = {"contextWindow": "context", "maxTokens": "output", "reasoning": "reasoning"}
_INPUTS = ("text", "image")
_DOLLAR_SINCE = (0, 77)
_KEYED = ANY_AUTH - {Auth.NONE}


def reference(version: tuple[int, ...]) -> str:
    """Return how this version refers to the variable; the newest form where the version is not known."""
    if version and version < _DOLLAR_SINCE:
        return TOKEN
    return f"${TOKEN}"


def provider(target: Target, token: str, models: list[str]) -> dict[str, object]:
    """Return the entry of models.json. `token` is Pi's reference to the key."""
    native = Auth.X_API_KEY if target.dialect is Dialect.ANTHROPIC_MESSAGES else Auth.BEARER
    auth, headers = target.endpoint.auth, dict(target.endpoint.headers)
    if auth not in (native, Auth.BEARER):
        headers[str(auth)] = token
    entry: dict[str, object] = {
        "baseUrl": usual_url(target),
        "api": _APIS[target.dialect],
        "apiKey": token,
        "models": [{"id": model, "name": model, **limits(target.facts)} for model in models],
    }
    if headers:
        entry["headers"] = headers
    if auth is Auth.BEARER and native is not Auth.BEARER:
        entry["authHeader"] = True
    return entry


def limits(facts: ModelFacts) -> dict[str, object]:
    """Return the members of a model's entry that say what is known of it."""
    known = named(facts, _FACTS)
    if "input" in facts:
        known["input"] = [kind for kind in facts["input"] if kind in _INPUTS]
    return known


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    models = {"providers": {target.slug: provider(target, reference(request.version), [target.model])}}
    # With the gateway, only the gateway retries. A settings file that is there already stays as it is.
    settings: dict[str, object] = {}
    if not target.direct:
        settings["retry"] = {"enabled": False}
    return Handover(
        harness="pi",
        argv=("pi", "--provider", target.slug, "--model", target.model, *request.arguments),
        files=(
            File("models.json", pretty(models)),
            File("auth.json", "{}\n"),
            File("settings.json", pretty(settings), keep=True),
        ),
        set={
            "PI_CODING_AGENT_DIR": request.directory,
            "PI_OFFLINE": "1",
            "PI_SKIP_VERSION_CHECK": "1",
            "PI_TELEMETRY": "0",
        },
        unset=(*EVERYWHERE, "PI_*"),
        secret=TOKEN,
        expected=expected(target),
        proof="`get_state` of its RPC mode, or provider and model in the events of --mode json",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """Attach by one provider with every pin as a model; each model has its own dialect."""
    models = [
        {"id": pin, "name": pin, "api": _APIS[dialect], "baseUrl": offer.url(dialect)}
        | limits(offer.facts_of(pin))
        for pin, dialect in offer.models
    ]
    entry = {
        "baseUrl": offer.url(Dialect.OPENAI_CHAT),
        "api": _APIS[Dialect.OPENAI_CHAT],
        "apiKey": f"!{join(offer.token_command)}",
        "models": models,
    }
    use = f"pi --provider holdfast --model {offer.pin or 'PROVIDER/MODEL'}   (or choose it with /model)"
    return Attachment(
        variable="PI_CODING_AGENT_DIR",
        directory=".pi/agent",
        names=("models.json",),
        members=((("providers", "holdfast"), entry),),
        use=use,
    )


def _settings(environ: Mapping[str, str], _: Path) -> Iterator[Layer]:
    directory = Path(environ.get("PI_CODING_AGENT_DIR") or home_of(environ) / ".pi" / "agent")
    yield of_json(Scope.ALWAYS, directory / "auth.json")


_SETTINGS = OwnSettings(
    layers=_settings,
    rules=(
        Rule(
            ("holdfast",),
            Effect.REFUSE,
            "its key is sent to the gateway in the place of the gateway's token",
            is_given,
        ),
    ),
)
HARNESS = Harness(
    name="pi",
    title="Pi",
    executable="pi",
    install="npm install -g @earendil-works/pi-coding-agent",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    oldest="0.73.1",
    tested="1.6.0",
    shows=dict.fromkeys(_APIS, _KEYED),
    attach=_attach,
    settings=_SETTINGS,
    chooses=("--provider", "--model", "--models", "--api-key", "--offline="),
)

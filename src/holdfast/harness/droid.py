"""Droid (Factory): one custom model in a settings file of ours, which is named on the command line and wins
over a project's, and a home of its own.

A project's .factory/settings.json replaces the user's custom models, but not those of `--settings`."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, named, pretty
from .environment import EVERYWHERE, IN_PLAIN_TEXT
from .target_forms import usual_url

_PROVIDERS = {
    Dialect.OPENAI_CHAT: "generic-chat-completion-api",
    Dialect.OPENAI_RESPONSES: "openai",
    Dialect.ANTHROPIC_MESSAGES: "anthropic",
}
_FACTS = {"maxContextLimit": "context", "maxOutputTokens": "output"}
_SETTINGS = "holdfast-settings.json"


def limits(facts: ModelFacts) -> dict[str, object]:
    """Return the members of a custom model that say what is known of it."""
    known = named(facts, _FACTS)
    if "input" in facts:
        known["noImageSupport"] = "image" not in facts["input"]
    return known


def _plan(request: LaunchRequest) -> Handover:
    target, model = request.target, f"custom:{request.target.slug}"
    entry: dict[str, object] = {
        "id": model,
        "model": target.model,
        "displayName": f"{target.slug}/{target.model}",
        "baseUrl": usual_url(target),
        "apiKey": f"${{{TOKEN}}}",
        "provider": _PROVIDERS[target.dialect],
        **limits(target.facts),
    }
    if target.endpoint.headers:
        entry["extraHeaders"] = dict(target.endpoint.headers)
    settings = {"customModels": [entry], "sessionDefaultSettings": {"model": model}}
    return Handover(
        harness="droid",
        argv=("droid", *_with_settings(request.arguments, f"{request.directory}/{_SETTINGS}", model)),
        files=(File(_SETTINGS, pretty(settings)), File(".factory/settings.json", pretty(settings))),
        set={
            "FACTORY_HOME_OVERRIDE": request.directory,
            "FACTORY_AIRGAP_ENABLED": "1",
            "FACTORY_DISABLE_KEYRING": "1",
            "FACTORY_DROID_AUTO_UPDATE_ENABLED": "0",
        },
        unset=(*EVERYWHERE, "FACTORY_*"),
        secret=TOKEN,
        expected=expected(target),
        proof="the model in the events of `exec --output-format json`",
    )


def _with_settings(arguments: tuple[str, ...], path: str, model: str) -> tuple[str, ...]:
    """Return the arguments with our settings, and the model where it can be named: a resumed session would
    take the one that it had."""
    if arguments[:1] == ("exec",):
        arguments = ("exec", "--model", model, *arguments[1:])
    return ("--settings", path, *arguments)


HARNESS = Harness(
    name="droid",
    title="Droid",
    executable="droid",
    install="npm install -g droid",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    tested="0.225.2",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.OPENAI_RESPONSES: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    no_attach=IN_PLAIN_TEXT,
    chooses=("-m", "--model", "--settings", "--spec-model", "--worker-model", "--validator-model"),
)

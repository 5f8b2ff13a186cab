"""Continue's command line (`cn`): one configuration file, named on the command line.

A variable that is not set is sent as the literal reference; we always set it.
"""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, named, pretty
from .environment import EVERYWHERE

_PROVIDERS = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}
_OPTIONS = {"contextLength": "context", "maxTokens": "output"}
_CONFIG = "config.yaml"


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    model: dict[str, object] = {
        "name": f"{target.slug}/{target.model}",
        "provider": _PROVIDERS[target.dialect],
        "model": target.model,
        "apiBase": f"{target.versioned_url}/",
        "apiKey": f"${{{{ secrets.{TOKEN} }}}}",
        "roles": ["chat", "edit", "apply", "summarize"],
    }
    if "context" in target.facts:
        model["contextLength"] = target.facts["context"]
    options = named(target.facts, _OPTIONS)
    if options:
        model["defaultCompletionOptions"] = options
    if target.endpoint.headers:
        model["requestOptions"] = {"headers": dict(target.endpoint.headers)}
    config = {"name": "holdfast", "version": "1.0.0", "schema": "v1", "models": [model]}  # JSON is YAML
    return Handover(
        harness="continue",
        argv=("cn", "--config", f"{request.directory}/{_CONFIG}", *request.arguments),
        files=(File(_CONFIG, pretty(config)),),
        set={"CONTINUE_GLOBAL_DIR": request.directory, "CONTINUE_TELEMETRY_ENABLED": "0"},
        unset=(*EVERYWHERE, "CONTINUE_*"),
        secret=TOKEN,
        expected=expected(target),
    )


HARNESS = Harness(
    name="continue",
    title="Continue",
    executable="cn",
    install="npm install -g @continuedev/cli",
    speaks=(Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    oldest="1.5",
    tested="1.5.47",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("--config", "--model", "--org", "--agent"),
)

"""Continue's command line (`cn`): one configuration file, named on the command line.

A variable that is not set is sent as the literal reference; we always set it.
"""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_PROVIDERS = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}
_CONFIG = "config.yaml"


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    model: dict[str, object] = {
        "name": f"{way.slug}/{way.model}",
        "provider": _PROVIDERS[way.dialect],
        "model": way.model,
        "apiBase": f"{way.versioned_url}/",
        "apiKey": f"${{{{ secrets.{TOKEN} }}}}",
        "roles": ["chat", "edit", "apply", "summarize"],
    }
    if way.endpoint.headers:
        model["requestOptions"] = {"headers": dict(way.endpoint.headers)}
    config = {"name": "holdfast", "version": "1.0.0", "schema": "v1", "models": [model]}  # JSON is YAML
    return Handover(
        "continue",
        ("cn", "--config", f"{task.directory}/{_CONFIG}", *task.arguments),
        (File(_CONFIG, pretty(config)),),
        {"CONTINUE_GLOBAL_DIR": task.directory, "CONTINUE_TELEMETRY_ENABLED": "0"},
        (*EVERYWHERE, "CONTINUE_*"),
        TOKEN,
        expected(way),
    )


HARNESS = Harness(
    "continue",
    "Continue",
    "cn",
    "npm install -g @continuedev/cli",
    (Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    _plan,
    oldest="1.5",
    tested="1.5.47",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    chooses=("--config", "--model", "--org", "--agent"),
)

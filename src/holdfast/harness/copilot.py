"""GitHub Copilot CLI: its variables for a provider of one's own, and a directory of its own. A project's
files change none of them.

With them it asks GitHub for no sign-in; `COPILOT_OFFLINE` keeps it from every host but the provider's. Its
shell tool does not get the variables that hold keys."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import Handover, Harness, LaunchRequest, expected
from .environment import EVERYWHERE
from .target_forms import header_lines, usual_url

_TYPES = {
    Dialect.OPENAI_CHAT: {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_WIRE_API": "completions"},
    Dialect.OPENAI_RESPONSES: {"COPILOT_PROVIDER_TYPE": "openai", "COPILOT_PROVIDER_WIRE_API": "responses"},
    Dialect.ANTHROPIC_MESSAGES: {"COPILOT_PROVIDER_TYPE": "anthropic"},
}
_OWN = "COPILOT_PROVIDER"
"""The beginning of its variables for a provider of one's own."""
_SECRETS = {Auth.BEARER: f"{_OWN}_BEARER_TOKEN", Auth.X_API_KEY: f"{_OWN}_API_KEY", Auth.NONE: ""}


def limits(facts: ModelFacts) -> dict[str, str]:
    """Return the variables that say how much the model reads and writes; what it reads is without the
    answer."""
    known: dict[str, str] = {}
    if "context" in facts:
        known["COPILOT_PROVIDER_MAX_PROMPT_TOKENS"] = str(max(1, facts["context"] - facts.get("output", 0)))
    if "output" in facts:
        known["COPILOT_PROVIDER_MAX_OUTPUT_TOKENS"] = str(facts["output"])
    return known


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    headers = header_lines(target)
    return Handover(
        harness="copilot",
        argv=("copilot", *request.arguments),
        files=(),
        set={
            "COPILOT_HOME": request.directory,
            "COPILOT_OFFLINE": "true",
            "COPILOT_AUTO_UPDATE": "false",
            "COPILOT_PROVIDER_BASE_URL": usual_url(target),
            "COPILOT_MODEL": target.model,
            **_TYPES[target.dialect],
            **limits(target.facts),
            **({"COPILOT_PROVIDER_HEADERS": headers} if headers else {}),
        },
        unset=(*EVERYWHERE, "COPILOT_*", "GH_TOKEN", "GITHUB_TOKEN"),
        secret=_SECRETS[target.endpoint.auth],
        expected=expected(target),
        proof="the model in the events of --output-format json",
    )


HARNESS = Harness(
    name="copilot",
    title="GitHub Copilot CLI",
    executable="copilot",
    install="npm install -g @github/copilot",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    tested="1.0.102",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER, Auth.NONE}),
        Dialect.OPENAI_RESPONSES: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.BEARER, Auth.X_API_KEY}),
    },
    chooses=("--model",),
)

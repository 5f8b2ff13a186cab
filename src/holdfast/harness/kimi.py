"""Kimi Code CLI (@moonshot-ai/kimi-code): its variables for one model, which win over its configuration, and
a home of its own. A project's files name no provider.

The former program of the same name (kimi-cli of PyPI, 1.x) reads none of them."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import Handover, Harness, LaunchRequest, expected, named
from .environment import EVERYWHERE, IN_PLAIN_TEXT
from .target_forms import header_lines, usual_url

_TYPES = {
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "openai_responses",
    Dialect.ANTHROPIC_MESSAGES: "anthropic",
}
_OWN = "KIMI_MODEL"
"""The beginning of its variables for one model."""
_LIMITS = {"KIMI_MODEL_MAX_CONTEXT_SIZE": "context", "KIMI_MODEL_MAX_OUTPUT_SIZE": "output"}


def limits(facts: ModelFacts) -> dict[str, str]:
    """Return the variables that say what is known of the model. A list of abilities replaces the program's
    own assumption that it sees pictures and thinks, so that it is written only where both are known."""
    known = {variable: str(value) for variable, value in named(facts, _LIMITS).items()}
    if "input" in facts and "reasoning" in facts:
        able = ["tool_use"]
        if "image" in facts["input"]:
            able.append("image_in")
        if facts["reasoning"]:
            able.append("thinking")
        known["KIMI_MODEL_CAPABILITIES"] = ",".join(able)
    return known


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    variables = {
        "KIMI_CODE_HOME": request.directory,
        "KIMI_CODE_NO_AUTO_UPDATE": "1",
        "KIMI_DISABLE_TELEMETRY": "1",
        "KIMI_MODEL_NAME": target.model,
        "KIMI_MODEL_BASE_URL": usual_url(target),
        "KIMI_MODEL_PROVIDER_TYPE": _TYPES[target.dialect],
        **limits(target.facts),
    }
    if target.endpoint.headers:
        variables["KIMI_CODE_CUSTOM_HEADERS"] = header_lines(target)
    if not target.direct:
        variables["KIMI_LOOP_MAX_ATTEMPTS_PER_STEP"] = "1"
    return Handover(
        harness="kimi",
        argv=("kimi", *request.arguments),
        files=(),
        set=variables,
        unset=(*EVERYWHERE, "KIMI_*", "MOONSHOT_*"),
        secret=f"{_OWN}_API_KEY",
        expected=expected(target),
    )


HARNESS = Harness(
    name="kimi",
    title="Kimi Code CLI",
    executable="kimi",
    install="npm install -g @moonshot-ai/kimi-code",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    oldest="2.0",
    tested="2.1.0",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.OPENAI_RESPONSES: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.X_API_KEY}),
    },
    no_attach=IN_PLAIN_TEXT,
    chooses=("-m", "--model"),
)

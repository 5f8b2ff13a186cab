"""Qwen Code: variables and arguments, in a home of its own in which folders are trusted only by their user.

A project's .qwen/settings.json would override everything, the process's environment too, unless `folderTrust`
is on. With `modelProviders` configured it silently drops a model that is not listed, so we write none."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_TYPES = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _limits(facts: ModelFacts) -> dict[str, object]:
    """Return the members of `model` that say how much the model reads."""
    if "context" not in facts:
        return {}
    return {"generationConfig": {"contextWindowSize": facts["context"]}}


def _plan(request: LaunchRequest) -> Handover:
    target, kind = request.target, _TYPES[request.target.dialect]
    maker = kind.upper()
    settings = {
        "security": {"auth": {"selectedType": kind}, "folderTrust": {"enabled": True}},
        "model": {"name": target.model, **_limits(target.facts)},
        "privacy": {"usageStatisticsEnabled": False},
    }
    return Handover(
        harness="qwen",
        argv=("qwen", "--auth-type", kind, "--model", target.model, *request.arguments),
        files=(File("settings.json", pretty(settings)),),
        set={"QWEN_HOME": request.directory, f"{maker}_BASE_URL": target.url, f"{maker}_MODEL": target.model},
        unset=(*EVERYWHERE, "QWEN_*", "DASHSCOPE_*", "BAILIAN_*"),
        secret=request.variable(kind),
        expected=expected(target),
        proof="the model in the events of --output-format json",
    )


HARNESS = Harness(
    name="qwen",
    title="Qwen Code",
    executable="qwen",
    install="npm install -g @qwen-code/qwen-code",
    speaks=(Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    plan=_plan,
    oldest="0.10",
    tested="0.24.4",
    shows={
        Dialect.OPENAI_CHAT: frozenset({Auth.BEARER}),
        Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.BEARER}),
    },
    chooses=(
        "-m",
        "--model",
        "--auth-type",
        "--openai-api-key",
        "--openai-base-url",
        "--openaiApiKey",
        "--openaiBaseUrl",
    ),
    takes_headers=False,
)

"""Qwen Code: variables and arguments, in a home of its own in which folders are trusted only by their user.

A project's .qwen/settings.json would beat everything, the process's environment too, unless `folderTrust` is
on. With `modelProviders` configured it drops a model that is not listed without a word: so there are none.
"""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_TYPES = {Dialect.OPENAI_CHAT: "openai", Dialect.ANTHROPIC_MESSAGES: "anthropic"}


def _plan(task: LaunchRequest) -> Handover:
    way, kind = task.way, _TYPES[task.way.dialect]
    maker = kind.upper()
    settings = {
        "security": {"auth": {"selectedType": kind}, "folderTrust": {"enabled": True}},
        "model": {"name": way.model},
        "privacy": {"usageStatisticsEnabled": False},
    }
    return Handover(
        "qwen",
        ("qwen", "--auth-type", kind, "--model", way.model, *task.arguments),
        (File("settings.json", pretty(settings)),),
        {"QWEN_HOME": task.directory, f"{maker}_BASE_URL": way.url, f"{maker}_MODEL": way.model},
        (*EVERYWHERE, "QWEN_*", "DASHSCOPE_*", "BAILIAN_*"),
        task.variable(kind),
        expected(way),
        proof="the model in the events of --output-format json",
    )


HARNESS = Harness(
    "qwen",
    "Qwen Code",
    "qwen",
    "npm install -g @qwen-code/qwen-code",
    (Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES),
    _plan,
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

"""Aider: its arguments, because a `.env` of the working directory beats the process's environment.

Arguments beat that file for the address and the models; a proxy or another maker's address in it would still
redirect: such a file is refused before anything is sent. Its exit code is 0 whatever happened, so it proves
nothing."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_SETTINGS = "model-settings.yml"


def _plan(task: LaunchRequest) -> Handover:
    way, model = task.way, f"openai/{task.way.model}"
    headers = {"extra_headers": dict(way.endpoint.headers)} if way.endpoint.headers else {}
    # Named again with its address: a project's .aider.model.settings.yml could set another for this very
    # name.
    settings = [{"name": model, "use_temperature": True, "extra_params": {"api_base": way.url, **headers}}]
    chosen = ("--model", model, "--weak-model", model, "--editor-model", model, "--openai-api-base", way.url)
    quiet = (
        "--no-check-update",
        "--analytics-disable",
        "--no-show-release-notes",
        "--no-show-model-warnings",
    )
    return Handover(
        "aider",
        ("aider", *chosen, "--model-settings-file", f"{task.directory}/{_SETTINGS}", *quiet, *task.arguments),
        (File(_SETTINGS, pretty(settings)),),
        {"OPENAI_API_BASE": way.url},
        (*EVERYWHERE, "AIDER_*", "*_API_BASE"),
        task.variable("openai"),
        expected(way),
        project=(".env",),
    )


HARNESS = Harness(
    "aider",
    "Aider",
    "aider",
    "pipx install aider-chat",
    (Dialect.OPENAI_CHAT,),
    _plan,
    oldest="0.80",
    tested="0.86.2",
    shows={Dialect.OPENAI_CHAT: frozenset({Auth.BEARER})},
    chooses=(
        "--model", "--weak-model", "--editor-model", "--openai-api-key", "--openai-api-base", "--anthropic-api-key", "--api-key", "--set-env",
        "--env-file", "--model-settings-file", "--alias", "--opus", "--sonnet", "--haiku", "--4", "--4o", "--mini", "--deepseek", "--o1-mini", "--o1-preview",
    ),
    abbreviates=True,
)  # fmt: skip

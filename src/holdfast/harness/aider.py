"""Aider: its arguments, because a `.env` of the working directory overrides the process's environment.

Arguments override that file for the address and the models. A proxy or another maker's address in it would
still redirect requests, so such a file is refused. Its exit code is always 0, so it proves nothing."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_SETTINGS = "model-settings.yml"


def _plan(request: LaunchRequest) -> Handover:
    target, model = request.target, f"openai/{request.target.model}"
    extra: dict[str, object] = {"api_base": target.url}
    if target.endpoint.headers:
        extra["extra_headers"] = dict(target.endpoint.headers)
    # Set for the model too: a project's .aider.model.settings.yml could set another address for this name.
    settings = [{"name": model, "use_temperature": True, "extra_params": extra}]
    chosen = (
        "--model",
        model,
        "--weak-model",
        model,
        "--editor-model",
        model,
        "--openai-api-base",
        target.url,
    )
    quiet = (
        "--no-check-update",
        "--analytics-disable",
        "--no-show-release-notes",
        "--no-show-model-warnings",
    )
    return Handover(
        harness="aider",
        argv=(
            "aider",
            *chosen,
            "--model-settings-file",
            f"{request.directory}/{_SETTINGS}",
            *quiet,
            *request.arguments,
        ),
        files=(File(_SETTINGS, pretty(settings)),),
        set={"OPENAI_API_BASE": target.url},
        unset=(*EVERYWHERE, "AIDER_*", "*_API_BASE"),
        secret=request.variable("openai"),
        expected=expected(target),
        project=(".env",),
    )


HARNESS = Harness(
    name="aider",
    title="Aider",
    executable="aider",
    install="pipx install aider-chat",
    speaks=(Dialect.OPENAI_CHAT,),
    plan=_plan,
    oldest="0.80",
    tested="0.86.2",
    shows={Dialect.OPENAI_CHAT: frozenset({Auth.BEARER})},
    chooses=(
        "--model",
        "--weak-model",
        "--editor-model",
        "--openai-api-key",
        "--openai-api-base",
        "--anthropic-api-key",
        "--api-key",
        "--set-env",
        "--env-file",
        "--model-settings-file",
        "--alias",
        "--opus",
        "--sonnet",
        "--haiku",
        "--4",
        "--4o",
        "--mini",
        "--deepseek",
        "--o1-mini",
        "--o1-preview",
    ),
    abbreviates=True,
)

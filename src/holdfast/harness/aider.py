"""Aider: its arguments, because a `.env` of the working directory overrides the process's environment.

Arguments override that file for the address and the models. A proxy or another maker's address in it would
still redirect requests, so such a file is refused. Its exit code is always 0, so it proves nothing."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import File, Handover, Harness, LaunchRequest, expected, named, pretty
from .environment import EVERYWHERE

_METADATA = "model-metadata.json"
_FACTS = {"max_input_tokens": "context", "max_output_tokens": "output", "supports_reasoning": "reasoning"}
_SETTINGS = "model-settings.yml"


def _metadata(model: str, facts: ModelFacts) -> tuple[File, ...]:
    """Return the file that says what is known of the model; none where nothing is."""
    known = named(facts, _FACTS)
    if "input" in facts:
        known["supports_vision"] = "image" in facts["input"]
    if not known:
        return ()
    row = {"litellm_provider": "openai", "mode": "chat", **known}
    return (File(_METADATA, pretty({model: row})),)


def _plan(request: LaunchRequest) -> Handover:
    target, model = request.target, f"openai/{request.target.model}"
    extra: dict[str, object] = {"api_base": target.url}
    if target.endpoint.headers:
        extra["extra_headers"] = dict(target.endpoint.headers)
    # Set for the model too: a project's .aider.model.settings.yml could set another address for this name.
    settings = [{"name": model, "use_temperature": True, "extra_params": extra}]
    metadata = _metadata(model, target.facts)
    options = [f"--model-metadata-file={request.directory}/{file.path}" for file in metadata]
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
            *options,
            *quiet,
            *request.arguments,
        ),
        files=(File(_SETTINGS, pretty(settings)), *metadata),
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
        "--model-metadata-file",
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

"""Codex: everything by `-c`, which overrides its own files and a project's. It speaks the Responses API only.

A project cannot change the provider (Codex warns and goes on), but a trusted one could change the model, so
we set the model as well. The shells that it starts do not see the token."""

from __future__ import annotations

from ..core.config import ModelFacts
from ..core.identity import Auth, Dialect
from .base import (
    ANY_AUTH,
    TOKEN,
    Attachment,
    ConnectOffer,
    Handover,
    Harness,
    LaunchRequest,
    Target,
    compact,
    expected,
)
from .codex_settings import SETTINGS
from .environment import EVERYWHERE


def table(target: Target) -> dict[str, object]:
    """Return the entry of `model_providers`."""
    entry: dict[str, object] = {"name": target.slug, "base_url": target.url, "wire_api": "responses"}
    if target.endpoint.auth is Auth.BEARER:
        entry["env_key"] = TOKEN
    elif target.endpoint.auth is not Auth.NONE:
        entry["env_http_headers"] = {str(target.endpoint.auth): TOKEN}
    if target.endpoint.headers:
        entry["http_headers"] = dict(target.endpoint.headers)
    if not target.direct:
        entry |= {"request_max_retries": 0, "stream_max_retries": 0}
    if target.translated:
        entry["supports_websockets"] = False
    return entry


def limits(facts: ModelFacts) -> dict[str, object]:
    """Return the settings that say how much the model reads; it has none for the other facts."""
    if "context" not in facts:
        return {}
    return {"model_context_window": facts["context"]}


def inline(value: object) -> str:
    """Return a value as TOML in one line."""
    if not isinstance(value, dict):
        return compact(value)
    fields = (f"{compact(name)} = {inline(field)}" for name, field in value.items())
    return "{" + ", ".join(fields) + "}"


def _plan(request: LaunchRequest) -> Handover:
    target = request.target
    settings = {
        "model_provider": target.slug,
        f"model_providers.{target.slug}": table(target),
        "model": target.model,
        "shell_environment_policy.exclude": ["HOLDFAST_*"],
        **limits(target.facts),
    }
    if target.translated:
        settings["web_search"] = "disabled"
    options: list[str] = []
    for name, value in settings.items():
        options += ["-c", f"{name}={inline(value)}"]
    return Handover(
        harness="codex",
        argv=("codex", *options, *request.arguments),
        files=(),
        set={"CODEX_HOME": request.directory},
        unset=(*EVERYWHERE, "CODEX_*"),
        secret="" if target.endpoint.auth is Auth.NONE else TOKEN,
        expected=expected(target),
        proof="provider and model in the first event of `exec --json`, and in its session file",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """Attach by a profile in a file of its own (0.169 reads no other)."""
    provider = {
        "name": "Holdfast",
        "base_url": offer.url(Dialect.OPENAI_RESPONSES),
        "wire_api": "responses",
        "request_max_retries": 0,
        "stream_max_retries": 0,
        "auth": {"command": offer.token_command[0], "args": list(offer.token_command[1:])},
    }
    pin = offer.pin or next((pin for pin, _ in offer.models), "")
    settings = {
        "model_provider": "holdfast",
        "model": pin,
        **limits(offer.facts_of(pin)),
        "model_providers.holdfast": provider,
    }
    return Attachment(
        variable="CODEX_HOME",
        directory=".codex",
        names=("holdfast.config.toml",),
        members=(),
        use="codex --profile holdfast",
        lines=(
            "# Written by `holdfast connect codex`.",
            *(f"{name} = {inline(value)}" for name, value in settings.items()),
        ),
    )


HARNESS = Harness(
    name="codex",
    title="Codex",
    executable="codex",
    install="npm install -g @openai/codex",
    speaks=(Dialect.OPENAI_RESPONSES,),
    plan=_plan,
    oldest="0.60",
    tested="0.171.0",
    shows={Dialect.OPENAI_RESPONSES: ANY_AUTH},
    attach=_attach,
    settings=SETTINGS,
    chooses=(
        "-m",
        "--model",
        "--oss",
        "--local-provider",
        "-p",
        "--profile",
        "-c model",
        "--config model",
        "-c profile",
        "--config profile",
    ),
)

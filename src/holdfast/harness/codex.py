"""Codex: everything by `-c`, which beats its own files and a project's. It speaks the Responses API only.

A project cannot change the provider (it is told so and goes on), a trusted one could change the model: so the
model is said as well. Its shells do not see the token."""

from __future__ import annotations

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
from .environment import EVERYWHERE


def table(way: Target) -> dict[str, object]:
    """The entry of `model_providers`."""
    entry: dict[str, object] = {"name": way.slug, "base_url": way.url, "wire_api": "responses"}
    if way.endpoint.auth is Auth.BEARER:
        entry["env_key"] = TOKEN
    elif way.endpoint.auth is not Auth.NONE:
        entry["env_http_headers"] = {str(way.endpoint.auth): TOKEN}
    if way.endpoint.headers:
        entry["http_headers"] = dict(way.endpoint.headers)
    if not way.direct:
        entry |= {"request_max_retries": 0, "stream_max_retries": 0}
    return entry


def inline(value: object) -> str:
    """A value as TOML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{compact(name)} = {inline(one)}" for name, one in value.items()) + "}"
    return compact(value)


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    said = {
        "model_provider": way.slug,
        f"model_providers.{way.slug}": table(way),
        "model": way.model,
        "shell_environment_policy.exclude": ["HOLDFAST_*"],
    }
    told = [part for name, value in said.items() for part in ("-c", f"{name}={inline(value)}")]
    return Handover(
        "codex",
        ("codex", *told, *task.arguments),
        (),
        {"CODEX_HOME": task.directory},
        (*EVERYWHERE, "CODEX_*"),
        "" if way.endpoint.auth is Auth.NONE else TOKEN,
        expected(way),
        proof="provider and model in the first event of `exec --json`, and in its session file",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """A profile in a file of its own (0.169 reads no other): nothing of the user's is edited."""
    provider = {
        "name": "Holdfast",
        "base_url": offer.url(Dialect.OPENAI_RESPONSES),
        "wire_api": "responses",
        "request_max_retries": 0,
        "stream_max_retries": 0,
        "auth": {"command": "cat", "args": [offer.token_file]},
    }
    told = {
        "model_provider": "holdfast",
        "model": offer.pin or next((pin for pin, _ in offer.models), ""),
        "model_providers": {"holdfast": provider},
    }
    text = "".join(f"{name} = {inline(value)}\n" for name, value in told.items())
    return Attachment(
        "CODEX_HOME",
        ".codex",
        ("holdfast.config.toml",),
        (),
        "codex --profile holdfast",
        f"# Written by `holdfast connect codex`.\n{text}",
    )


HARNESS = Harness(
    "codex",
    "Codex",
    "codex",
    "npm install -g @openai/codex",
    (Dialect.OPENAI_RESPONSES,),
    _plan,
    oldest="0.60",
    tested="0.169.0",
    shows={Dialect.OPENAI_RESPONSES: ANY_AUTH},
    attach=_attach,
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

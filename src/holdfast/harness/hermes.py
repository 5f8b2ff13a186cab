"""Hermes: one named provider in the configuration of a home of its own. A project's files change nothing
of it.

It sends no requests of Messages unless a package is installed that it does not ask for, and its exit code is
0 when a request fails. What it would install by itself while it works is off."""

from __future__ import annotations

from ..core.identity import Auth, Dialect
from .base import TOKEN, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE, IN_PLAIN_TEXT

_MODES = {Dialect.OPENAI_CHAT: "chat_completions", Dialect.OPENAI_RESPONSES: "codex_responses"}


def _plan(request: LaunchRequest) -> Handover:
    target, facts = request.target, request.target.facts
    name = f"custom:{target.slug}"
    model: dict[str, object] = {"default": target.model, "provider": name}
    entry: dict[str, object] = {
        "name": target.slug,
        "api": target.url,
        "key_env": TOKEN,
        "api_mode": _MODES[target.dialect],
        "default_model": target.model,
    }
    if "output" in facts:
        model["max_tokens"] = facts["output"]
    if "context" in facts:
        model["context_length"] = entry["context_length"] = facts["context"]
    config: dict[str, object] = {"model": model, "providers": {target.slug: entry}}
    if not target.direct:
        config["agent"] = {"api_max_retries": 1}
    return Handover(
        harness="hermes",
        argv=("hermes", *_chosen(request.arguments, name, target.model)),
        files=(File("config.yaml", pretty(config)),),  # JSON is YAML
        set={"HERMES_HOME": request.directory, "HERMES_DISABLE_LAZY_INSTALLS": "1"},
        unset=(*EVERYWHERE, "HERMES_*"),
        secret=TOKEN,
        expected=expected(target),
    )


def _chosen(arguments: tuple[str, ...], provider: str, model: str) -> tuple[str, ...]:
    """Return the arguments with provider and model where a conversation begins: a resumed session would take
    those that it had. Another subcommand takes neither."""
    ours = ("--provider", provider, "--model", model)
    if arguments[:1] == ("chat",):
        return ("chat", *ours, *arguments[1:])
    if arguments and not arguments[0].startswith("-"):
        return arguments
    return (*ours, *arguments)


HARNESS = Harness(
    name="hermes",
    title="Hermes",
    executable="hermes",
    install="pip install hermes-agent",
    speaks=(Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES),
    plan=_plan,
    tested="0.19.0",
    shows=dict.fromkeys(_MODES, frozenset({Auth.BEARER})),
    no_attach=IN_PLAIN_TEXT,
    chooses=("-m", "--model", "--provider", "--ignore-user-config", "--safe-mode"),
    takes_headers=False,
)

"""Claude Code: variables, and a settings file of ours that beats both the project's and its own.

Its settings' `env` beats the process's environment, in a project's .claude/settings.json too: so only the
user's source is read, from a directory of its own, and `--settings` says last where the requests go. Aliases
(`haiku`, `opus`) all mean the pin's model."""

from __future__ import annotations

from shlex import quote

from ..core.identity import Auth, Dialect
from .base import Attachment, ConnectOffer, File, Handover, Harness, LaunchRequest, expected, pretty
from .environment import EVERYWHERE

_ALIASES = ("HAIKU", "SONNET", "OPUS", "FABLE")
_SETTINGS = "holdfast-settings.json"


def routes(root: str, model: str) -> dict[str, str]:
    """The variables that say where requests go and what every alias means."""
    models = {f"ANTHROPIC_DEFAULT_{alias}_MODEL": model for alias in _ALIASES}
    own = {"ANTHROPIC_MODEL": model, "ANTHROPIC_SMALL_FAST_MODEL": model, "CLAUDE_CODE_SUBAGENT_MODEL": model}
    return {"ANTHROPIC_BASE_URL": root, **own, **models}


def _plan(task: LaunchRequest) -> Handover:
    way = task.way
    where = routes(way.bare_url, way.model)
    if way.endpoint.headers:
        where["ANTHROPIC_CUSTOM_HEADERS"] = "\n".join(
            f"{name}: {value}" for name, value in way.endpoint.headers
        )
    if not way.direct:
        where["CLAUDE_CODE_MAX_RETRIES"] = "0"
    return Handover(
        "claude",
        (
            "claude",
            "--setting-sources",
            "user",
            "--settings",
            f"{task.directory}/{_SETTINGS}",
            "--model",
            way.model,
            *task.arguments,
        ),
        (
            File(_SETTINGS, pretty({"env": where})),
            File("settings.json", "{}\n"),
            File(".claude.json", pretty({"hasCompletedOnboarding": True}), keep=True),
        ),
        {
            "CLAUDE_CONFIG_DIR": task.directory,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            **where,
        },
        (*EVERYWHERE, "CLAUDE_*", "CLAUDECODE"),
        task.variable("anthropic") if way.endpoint.auth is Auth.X_API_KEY else "ANTHROPIC_AUTH_TOKEN",
        expected(way),
        proof="`modelUsage` of --output-format json",
    )


def _attach(offer: ConnectOffer) -> Attachment:
    """A command for the key, and the address; with a pin, the model that every alias means. Its picker asks
    the gateway for the others."""
    env = {"ANTHROPIC_BASE_URL": offer.root, "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"} | (
        routes(offer.root, offer.pin) if offer.pin else {}
    )
    members: list[tuple[tuple[str, ...], object]] = [(("env", name), value) for name, value in env.items()]
    members.append((("apiKeyHelper",), f"cat {quote(offer.token_file)}"))
    use = "claude" + ("" if offer.pin else " --model PROVIDER/MODEL")
    return Attachment("CLAUDE_CONFIG_DIR", ".claude", ("settings.json",), tuple(members), use)


HARNESS = Harness(
    "claude",
    "Claude Code",
    "claude",
    "npm install -g @anthropic-ai/claude-code",
    (Dialect.ANTHROPIC_MESSAGES,),
    _plan,
    oldest="2.0",
    tested="2.1.329",
    shows={Dialect.ANTHROPIC_MESSAGES: frozenset({Auth.BEARER, Auth.X_API_KEY})},
    attach=_attach,
    chooses=("--model", "--fallback-model", "--settings", "--setting-sources", "--bare"),
)

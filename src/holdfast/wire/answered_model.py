"""Did the chosen model answer? Names are compared by the vendors' rules, whoever relays them (story 2)."""

from __future__ import annotations

import re
from functools import lru_cache

from ..core.errors import ModelDropped
from ..core.identity import Connection

# How vendors date or name an edition of a model; what precedes it is the model. Sources: the vendors' lists
# of models, 2026-11.
_EDITIONS = (
    r"\d{4}-\d{2}-\d{2}",  # gpt-4o-2024-11-20
    r"\d{8}",  # claude-sonnet-4-5-20250929, also after @ (Vertex)
    r"\d{4}",  # kimi-k2-0905, grok-4-0709
    r"\d{4}-preview",  # gpt-4-1106-preview
    r"preview(?:-\d{2}-(?:\d{2}|\d{4}))?",  # gemini-2.5-flash-preview-09-2025
    r"latest",
)
_EDITION = re.compile(rf"(.+?)[-@]({'|'.join(_EDITIONS)})")
_FLOATING = frozenset({"", "latest", "preview"})
# The tags by which a relay says how it routes; other tags (`llama3:70b`) name another model.
_ROUTES = frozenset({"free", "nitro", "floor", "online", "exacto", "extended", "thinking", "latest"})
# Names that a vendor answers with another name (the pattern must match both ends).
_ALIASES = tuple(
    (re.compile(chosen), answered)
    for chosen, answered in (
        (r"claude-(opus|sonnet)-4-0", r"claude-\1-4"),  # docs.anthropic.com, models overview
        # gemini-flash-latest: ai.google.dev, model versions
        (r"(gemini)-(flash|pro|flash-lite)", r"\1-\\d+(?:\\.\\d+)?-\2"),
        (r"kimi", r"(?:kimi|moonshot)-.+"),  # kimi-latest: platform.moonshot.ai
        (r"(grok-code-fast|grok-\d)", r"\1(?:-\\d)?"),  # docs.x.ai, aliases
        # a router is what was chosen: any model may answer
        (r"(?:auto|openrouter/auto|router|model-router)", r".+"),
    )
)


def confirm_model(connection: Connection, answered: str) -> ModelDropped | None:
    """Return the error for an answer of another model than the connection's; None when it is the same, or
    unknown.

    A name of the user's own may also answer as the model that they wrote in `answers_as`."""
    chosen, provider = connection.model, connection.provider
    if not answered or answered == chosen:
        return None
    accepted = {chosen, *(name for own, name in provider.answers_as if own == chosen)}
    if any(same_model(name, answered) for name in accepted):
        return None
    what = f"another model answered: '{answered[:80]}', and '{connection.pin}' was chosen"
    return ModelDropped(what, next_step=f"holdfast models --provider {provider.name}")


@lru_cache(maxsize=1024)
def same_model(chosen: str, answered: str) -> bool:
    """Return whether the model that a provider says it answered with is the chosen one.

    Case, the path of a vendor (`models/...`, `xiaomi/...`) and a relay's route (`:free`) make no difference.
    A name without a date may be answered by any edition of it, `latest` by any date; two dates are two.
    """
    if not answered:
        return False
    name, edition = _parts(chosen)
    other, other_edition = _parts(answered)
    if name == other and (edition == other_edition or not _FLOATING.isdisjoint({edition, other_edition})):
        return True
    return any(
        alias.fullmatch(name) and re.fullmatch(alias.sub(target, name), other) for alias, target in _ALIASES
    )


def _parts(model: str) -> tuple[str, str]:
    """Return a name as (model, edition)."""
    name, _, tag = model.lower().rsplit("/", 1)[-1].partition(":")
    if tag and tag not in _ROUTES:
        name = f"{name}:{tag}"
    match = _EDITION.fullmatch(name)
    if match is None:
        return name, ""
    return match[1], match[2].removesuffix("-preview")

"""Can another program use a connection, and did the chosen model answer? Both are decided without regard to a
vendor's or a deployment's name (story 2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from .errors import CannotHandOver, ModelDropped
from .identity import Connection, Dialect, Provider
from .known_hosts import KnownAt, knows_none, more_dialects

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


def dialect_for(
    harness: str,
    speaks: Sequence[Dialect],
    provider: Provider,
    others: Iterable[Provider] = (),
    *,
    wire: str = "",
    known_at: KnownAt = knows_none,
    only_key: str | None = None,
) -> Dialect:
    """Return the first dialect in the harness's order that the provider serves; with `only_key`, if it can,
    with that key: else the route refuses the key.

    Raises CannotHandOver that names both sides, and what would help: a key, a dialect that a preset has at
    the provider's host, or one of the `others`. `wire` names what the harness speaks where that is none of
    our dialects."""
    for served in (provider.served(only_key), provider.served()):
        for dialect in speaks:
            if dialect in served:
                return dialect
    fitting = [other for other in others if set(other.served()) & set(speaks)]
    details = []
    for other in fitting:
        common = [dialect for dialect in other.served() if dialect in speaks]
        details.append(f"of your providers, '{other.name}' speaks {', '.join(common)}")
    step = f"holdfast models --harness {harness}"
    more = more_dialects(known_at, provider, speaks)
    if more is not None:
        details, step = [more.what, *details], more.command
    elif fitting:
        step += "   (shows which of your providers it can use)"
    else:
        step += " --all   (none of your providers speaks that; it shows why)"
    spoken, offered = ", ".join(speaks) or wire, ", ".join(provider.dialects)
    if any(dialect in provider.dialects for dialect in speaks):
        offered = "no key for that"
        step = f"holdfast key add {provider.name} --from env:NAME"
    what = f"{harness} speaks {spoken}; provider '{provider.name}' has {offered}"
    raise CannotHandOver(what, details=details, next_step=step)


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

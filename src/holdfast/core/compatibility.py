"""In which dialect a provider is asked for a program. That is decided without regard to a vendor's or a
deployment's name (story 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .errors import CannotHandOver
from .identity import Dialect, Provider, Translates
from .known_hosts import KnownAt, knows_none, more_dialects

_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
TRANSLATED = {_CHAT: (_MESSAGES, _RESPONSES), _RESPONSES: (_CHAT, _MESSAGES), _MESSAGES: (_CHAT, _RESPONSES)}
"""The dialects into which a caller's is translated, the nearest first."""


def spoken_to(provider: Provider, dialect: Dialect, only_key: str | None = None) -> Dialect:
    """Return the dialect in which a provider is asked for a caller of `dialect`: the same where it serves it,
    else one into which it is translated; the same again where there is none."""
    served = provider.served(only_key)
    if provider.translates is Translates.NEVER or (dialect in served and dialect not in provider.forced):
        return dialect
    return next((other for other in TRANSLATED[dialect] if other in served), dialect)


def dialect_for(
    harness: str,
    speaks: Sequence[Dialect],
    provider: Provider,
    others: Iterable[Provider] = (),
    *,
    wire: str = "",
    known_at: KnownAt = knows_none,
    only_key: str | None = None,
    translates: bool = True,
) -> Dialect:
    """Return the first dialect in the harness's order that the provider serves; with `only_key`, if it can,
    with that key: else the route refuses the key. Where there is none, that from which it `translates`.

    Raises CannotHandOver that names both sides, and what would help: a key, a dialect that a preset has at
    the provider's host, or one of the `others`. `wire` names what the harness speaks if that is none."""
    mine = {dialect for dialect in speaks if translates and spoken_to(provider, dialect, only_key) != dialect}
    for usable in (provider.served(only_key), mine, provider.served()):
        for dialect in speaks:
            if dialect in usable:
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

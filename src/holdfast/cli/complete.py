"""Shell completion of the names that the user gave. Cheap, and silent whatever is wrong: a broken file must not break a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click

from .opened import Opened

Completer = Callable[[click.Context, click.Parameter, str], list[str]]
Given = Sequence[str]
"""The names that stand on the command line so far."""


def _completer(names: Callable[[Opened, Given], Iterable[str]]) -> Completer:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        opened, given = Opened(), [*(one for one in ctx.params.values() if isinstance(one, str)), *ctx.args]
        try:
            return sorted(name for name in names(opened, given) if name.startswith(incomplete))
        except Exception:
            return []
        finally:
            opened.close()

    return complete


def _pins(opened: Opened, _: Given) -> Iterable[str]:
    return [f"{one.name}/{model}" for one in opened.config.providers.values() for model in one.models or ()]


def _sessions(opened: Opened, _: Given) -> Iterable[str]:
    return [one.id for one in opened.memory.sessions()] if opened.memory is not None else []


def _tokens(opened: Opened, _: Given) -> Iterable[str]:
    return [one.id for one in opened.memory.tokens() if one.revoked_at is None] if opened.memory is not None else []


def _labels(opened: Opened, given: Given) -> Iterable[str]:
    """The keys of the provider that stands on the command line: as itself, or in front of a pin."""
    names = [word.partition("/")[0] for word in given]
    return next([key.label for key in one.keys] for one in opened.config.providers.values() if one.name in names)


def _presets(_opened: Opened, _: Given) -> Iterable[str]:
    from .. import presets

    return presets.rows()


providers = _completer(lambda opened, _: opened.config.providers)
pins = _completer(_pins)
pins_and_providers = _completer(lambda opened, given: [*opened.config.providers, *_pins(opened, given)])
sessions = _completer(_sessions)
labels = _completer(_labels)
tokens = _completer(_tokens)
presets = _completer(_presets)

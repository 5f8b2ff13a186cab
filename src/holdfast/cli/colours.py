"""The owner of colours: whether a stream gets any, and which words of our output have one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TextIO

import click

AUTO, ALWAYS, NEVER = WHEN = ("auto", "always", "never")
_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}
"""The colour of each level."""
_LEVELS = {
    "ok": "ok",
    "ready": "ok",
    "works": "ok",
    "note": "note",
    "ending": "note",
    "untested": "note",
    "resting": "note",
    "failed": "note",
    "wrong": "wrong",
    "not ready": "wrong",
    "no proof": "wrong",
    "missing": "wrong",
    "refused": "wrong",
}
"""The level that a word means where it stands alone: at the start of a line, or in a cell of a table."""
_LEVEL = re.compile(r"^(?:ok|note|wrong)(?=:|  )")
_STEP = re.compile(r"^\s+(?:run|next|then):")
_ANSWERED = re.compile(r"(?<=: )answered(?= in )")
_choice = [AUTO]


def choose(when: str) -> None:
    """Set what the user chose: auto, always or never."""
    _choice[:] = [when]


def coloured(stream: TextIO) -> bool:
    """Return whether a stream gets colours: as --color says, else NO_COLOR, else FORCE_COLOR and
    CLICOLOR_FORCE, else CLICOLOR and whether it is a terminal that knows colours."""
    if _choice[0] != AUTO:
        return _choice[0] == ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if os.environ.get("CLICOLOR") == "0" or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def colour_of(cell: str) -> str | None:
    """Return the colour of a cell that says a level, None for any other."""
    return _COLOURS.get(_LEVELS.get(cell, ""))


def painted(line: str) -> str:
    """Return a line with its level, its next step and the classes of faults in their colours."""
    level = _LEVEL.match(line)
    if level is not None:
        word = level.group()
        line = click.style(word, fg=_COLOURS[word], bold=word == "wrong" or None) + line[len(word) :]
    line = _STEP.sub(lambda step: click.style(step.group(), fg="cyan"), line)
    line = _ANSWERED.sub(lambda word: click.style(word.group(), fg="green"), line)
    return _faults().sub(lambda fault: click.style(fault.group(), fg="red"), line)


def refusal(text: str) -> str:
    """Return a refusal with its head in red, and its next step in the colour of one."""
    head, colon, rest = text.partition(":")
    lines = f"{colon}{rest}".split("\n")
    return click.style(head, fg="red", bold=True) + "\n".join(map(painted, lines))


def hoisted(arguments: Sequence[str]) -> list[str]:
    """Return a command line with `--color WHEN` at its start, where the root reads it, wherever it stands
    before `--`; without a word of when it means always."""
    words = [*arguments]
    end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:end]):
        if word.startswith("--color="):
            return [word, *words[:at], *words[at + 1 :]]
        if word == "--color":
            given = words[at + 1 : min(at + 2, end)]
            if given and given[0] in WHEN:
                return [word, *given, *words[:at], *words[at + 2 :]]
            return [word, ALWAYS, *words[:at], *words[at + 1 :]]
    return words


def _faults() -> re.Pattern[str]:
    """Return what matches the name of a class of faults, or of a cause."""
    from ..core.faults import FaultClass
    from ..values.fault_texts import IN_WORDS

    names = "|".join([*IN_WORDS.values(), *(kind for kind in FaultClass if kind != FaultClass.UNKNOWN)])
    return re.compile(rf"\b(?:{names})\b")

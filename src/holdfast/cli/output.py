"""The output of commands: lines and tables on stdout, refusals on stderr, JSON where it is asked for. Text
from outside is cleaned (`values.plain_text`) before it reaches a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

import click

from ..core.errors import HoldfastError
from ..values.plain_text import plain, plain_json
from . import colours

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_GAP = "  "
SETUP = "holdfast setup"
"""The next step of a home without a provider."""
FEW = 20
"""Names that are printed; where there are more, their number is."""

Options = Mapping[str, str | Sequence[str] | bool | None]
"""Options of a command line by name, without dashes: text, several texts, or a flag."""


def say(*lines: str) -> None:
    """Print lines on stdout, on a terminal in colours."""
    for line in lines:
        print(_shown_on(sys.stdout, line))


def in_a_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def note(line: str) -> None:
    """Print a line on stderr, beside the output."""
    print(f"holdfast: {_shown_on(sys.stderr, line)}", file=sys.stderr)


def _shown_on(stream: TextIO, text: str) -> str:
    """Return text as it is shown there: cleaned, then coloured line by line."""
    text = plain(text)
    if not colours.coloured(stream):
        return text
    return "\n".join(map(colours.painted, text.split("\n")))


def show_json(value: object) -> None:
    """Print a value of plain JSON types on stdout."""
    print(plain_json(value, indent=2))


def count(number: int, thing: str) -> str:
    """Return a number with its noun: `1 session`, `2 sessions`."""
    return f"{number} {thing}{'s' * (number != 1)}"


def some_of(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    listed = ", ".join(names[:FEW])
    if len(names) > FEW:
        listed += f" and {len(names) - FEW} more"
    return listed


def if_any(template: str, value: object) -> str:
    """Return the template with the value in place of {}; nothing where the value is None or empty."""
    if value is None or value == "":
        return ""
    return template.format(value)


def command_of(command: str, argument: str, options: Options) -> str:
    """Return a command line that a shell understands; options without a value are left out, and so is a
    password in a URL."""
    from shlex import quote

    words = []
    if argument:
        words.append(quote(argument))
    for name, value in options.items():
        if value is True:
            words.append(f"--{name}")
        elif isinstance(value, str):
            words += [f"--{name}", quote(_shown(value))]
        elif value:
            for text in value:
                words += [f"--{name}", quote(_shown(text))]
    return " ".join([command, *words])


def _shown(value: str) -> str:
    """Return an option's value as it may be printed: a URL without user and password, and without what looks
    like a key."""
    from ..values.secret import redact, without_user

    if "://" not in value:
        return value
    return redact(without_user(value))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print rows under their heads: by rich on a terminal that has it, else as aligned text. Without rows,
    print the sentence `empty`."""
    head, *cells = [[plain(cell).replace("\n", " ") for cell in row] for row in (head, *rows)]
    if not cells:
        say(empty)
    elif not (sys.stdout.isatty() and _drawn(head, cells)):
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        for row in (head, *cells):
            print(_GAP.join(map(_cell, row, widths)).rstrip())


def _cell(text: str, width: int) -> str:
    """Return a cell of aligned text, in its colour if stdout has any."""
    colour = colours.colour_of(text)
    if colour is None or not colours.coloured(sys.stdout):
        return text.ljust(width)
    return click.style(text, fg=colour) + " " * (width - len(text))


def _drawn(head: Sequence[str], cells: Sequence[Sequence[str]]) -> bool:
    """Print the table by rich. Return False where rich is not installed."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    drawn = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in cells:
        # Text: a bracket in a name is no markup
        drawn.add_row(*(Text(cell, style=colours.colour_of(cell) or "") for cell in row))
    Console(no_color=not colours.coloured(sys.stdout)).print(drawn)
    return True


def clock(at: float) -> str:
    """Return epoch seconds as a time in the user's own time zone."""
    from ..engine.journal import local

    return local(at)


def finite(at: float | None) -> float | None:
    """Return epoch seconds for JSON, which knows no infinity: None (null) is a time that never comes."""
    if at == float("inf"):
        return None
    return at


def refuse(error: HoldfastError, *, as_json: bool, otherwise: str = "holdfast --help") -> None:
    """Print an error on stderr: what happened, then what to run, or `otherwise` where it names nothing."""
    shown = f"holdfast: {plain(error.message(otherwise))}"
    if colours.coloured(sys.stderr):
        shown = colours.refusal(shown)
    if as_json:
        shown = plain_json({"error": error.described(otherwise)}, indent=2)
    sys.stdout.flush()  # earlier output comes first, also where both go into one file
    print(shown, file=sys.stderr)

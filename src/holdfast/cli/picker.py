"""A list to pick from in a terminal: what is typed filters it. Its package is imported when it is drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..values.plain_text import plain
from .output import in_a_terminal, say

if TYPE_CHECKING:
    from prompt_toolkit.formatted_text import StyleAndTextTuples

_SHOWN = 10
"""Items that are shown at a time."""
_MOVES = {
    "up": -1,
    "down": 1,
    "c-p": -1,
    "c-n": 1,
    "s-tab": -1,
    "tab": 1,
    "pageup": -_SHOWN,
    "pagedown": _SHOWN,
}


class Item(NamedTuple):
    """A value that can be picked, with a few words about it."""

    value: str
    about: str = ""


Typed = Callable[[str], str]
"""Returns a few words about a typed text that may be picked as it is, "" for any other."""


def only_listed(_: str) -> str:
    """Let no text be picked that is not an item."""
    return ""


def can_pick() -> bool:
    """Return whether a list can be drawn: in a terminal that can move its cursor, with the package for it."""
    from importlib.util import find_spec

    dumb = os.environ.get("TERM", "dumb") == "dumb" and os.name != "nt"
    return in_a_terminal() and not dumb and find_spec("prompt_toolkit") is not None


class Choice:
    """The items that match what is typed, and which of them is marked."""

    def __init__(self, items: Sequence[Item], typed: Typed = only_listed) -> None:
        self._items, self._typed = items, typed
        self.matches = [*items]
        self._at = 0

    @property
    def marked(self) -> Item | None:
        """Return the marked item; None where nothing matches."""
        return self.matches[self._at] if self.matches else None

    def filter(self, text: str) -> None:
        """Keep the items that hold each word of the text; those whose value begins with it come first. The
        text itself is offered last where it may be picked."""
        text = text.strip()
        words = text.lower().split()
        matching = [
            item
            for item in self._items
            if all(word in f"{item.value} {item.about}".lower() for word in words)
        ]
        matching.sort(key=lambda item: (item.value != text, not item.value.lower().startswith(text.lower())))
        about = self._typed(text) if text else ""
        if about and text not in [item.value for item in matching]:
            matching.append(Item(text, about))
        self.matches, self._at = matching, 0

    def move(self, rows: int) -> None:
        """Mark the item that many rows below, at most the last; above for a negative number."""
        self._at = max(0, min(len(self.matches) - 1, self._at + rows))

    def lines(self) -> StyleAndTextTuples:
        """Return the visible rows, each with its style."""
        first = max(0, min(self._at - _SHOWN // 2, len(self.matches) - _SHOWN))
        shown = self.matches[first : first + _SHOWN]
        width = max((len(plain(item.value)) for item in shown), default=0)
        rows: StyleAndTextTuples = []
        for number, item in enumerate(shown, start=first):
            mark, style = ("> ", "reverse") if number == self._at else ("  ", "")
            rows.append((style, f"{mark}{plain(item.value):<{width}}  {plain(item.about)}".rstrip() + "\n"))
        hidden = len(self.matches) - len(shown)
        if hidden:
            rows.append(("", f"  {hidden} more: type to filter, or move with the arrows\n"))
        return rows or [("", "  nothing matches\n")]


def pick(question: str, items: Sequence[Item], typed: Typed = only_listed) -> str:
    """Return the value that the user picks, which is then shown behind the question. Raises KeyboardInterrupt
    where the user gives up."""
    from prompt_toolkit.application import Application, get_app_session
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.layout import BufferControl, FormattedTextControl, HSplit, Layout, Window
    from prompt_toolkit.layout.processors import BeforeInput

    # A terminal that does not answer where its cursor is would be waited for.
    get_app_session().output.enable_cpr = False  # type: ignore[attr-defined]
    choice = Choice(items, typed)
    buffer = Buffer(multiline=False, on_text_changed=lambda changed: choice.filter(changed.text))
    keys = KeyBindings()
    for name, rows in _MOVES.items():
        keys.add(name)(lambda _, rows=rows: choice.move(rows))

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        if choice.marked is not None:
            event.app.exit(result=choice.marked.value)

    @keys.add("c-c")
    @keys.add("c-d")
    def _(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    asked = BufferControl(buffer, input_processors=[BeforeInput(f"{plain(question)}: ")])
    listed = FormattedTextControl(choice.lines)
    rows_of = [Window(asked, height=1), Window(listed, dont_extend_height=True)]
    picker: Application[str] = Application(
        layout=Layout(HSplit(rows_of)), key_bindings=keys, erase_when_done=True
    )
    picked = picker.run()
    say(f"{question}: {picked}")
    return picked

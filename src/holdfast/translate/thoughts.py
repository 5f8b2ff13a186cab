"""The thoughts in an answer of the chat dialect: tags in its text, and the details that are to come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .form import Text, Thinking
from .lenient import json_of, text_of

_OPENING, _CLOSING = "<think>", "</think>"
_READABLE = {"reasoning.text": "text", "reasoning.summary": "summary"}


class Tags:
    """Parts a text into thoughts, which are in tags at its start, and words."""

    __slots__ = ("_held", "_kind")

    def __init__(self) -> None:
        self._kind: type[Text | Thinking] | None = None
        self._held = ""

    def feed(self, text: str) -> list[tuple[type[Text | Thinking], str]]:
        """Return what is known now, in order."""
        if self._kind is Text:
            return [(Text, text)]
        self._held += text
        if self._kind is None and not self._begins():
            return []
        if self._kind is Text:
            return self.end()
        inside, closing, behind = self._held.partition(_CLOSING)
        if closing:
            self._kind, self._held = Text, ""
            return _spoken((Thinking, inside), (Text, behind))
        kept = _overlap(inside)
        self._held = inside[len(inside) - kept :]
        return _spoken((Thinking, inside[: len(inside) - kept]))

    def end(self) -> list[tuple[type[Text | Thinking], str]]:
        """Return what was held back."""
        held, self._held = self._held, ""
        return _spoken((self._kind or Text, held))

    def _begins(self) -> bool:
        """Return whether it is known by now if the text begins with a thought."""
        start = self._held.lstrip()
        if start.startswith(_OPENING):
            self._kind, self._held = Thinking, start[len(_OPENING) :]
        elif not _OPENING.startswith(start):
            self._kind = Text
        return self._kind is not None


class Details:
    """Gathers `reasoning_details`; the pieces of one text are put together."""

    __slots__ = ("_entries", "_pieces")

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []
        self._pieces: list[list[str]] = []

    def __bool__(self) -> bool:
        return bool(self._entries)

    def feed(self, details: list[Any]) -> str:
        """Return the text of one chunk's details."""
        return "".join(self._entry(entry) for entry in details if isinstance(entry, Mapping))

    def take(self) -> list[dict[str, Any]] | None:
        """Return them all, and begin anew; None for what is no sense to send back."""
        for entry, pieces in zip(self._entries, self._pieces, strict=True):
            member = _READABLE.get(text_of(entry.get("type")))
            if member:
                entry[member] = "".join(pieces)
        entries, self._entries, self._pieces = self._entries, [], []
        if json_of(entries) is None:
            return None
        return entries

    def _entry(self, entry: Mapping[str, Any]) -> str:
        kind = text_of(entry.get("type"))
        text = text_of(entry.get(_READABLE.get(kind, "")))
        if self._goes_on(entry, kind):
            self._entries[-1].update((name, value) for name, value in entry.items() if value is not None)
            self._pieces[-1].append(text)
        else:
            self._entries.append(dict(entry))
            self._pieces.append([text])
        return text

    def _goes_on(self, entry: Mapping[str, Any], kind: str) -> bool:
        if not self._entries or kind not in _READABLE:
            return False
        last = self._entries[-1]
        return last.get("type") == kind and last.get("index") == entry.get("index")


def _overlap(text: str) -> int:
    """Return how many letters at the end of a text may be the beginning of the closing tag."""
    for length in range(min(len(text), len(_CLOSING) - 1), 0, -1):
        if _CLOSING.startswith(text[len(text) - length :]):
            return length
    return 0


def _spoken(*pairs: tuple[type[Text | Thinking], str]) -> list[tuple[type[Text | Thinking], str]]:
    return [pair for pair in pairs if pair[1]]

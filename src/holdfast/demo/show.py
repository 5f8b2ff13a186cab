"""Tells the demo as it happens, and keeps what was told for JSON. It judges nothing: a promise comes with its
verdict and proof."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

WIDTH = 80
_LABEL = 11
_BOLD, _DIM, _GREEN, _RED = "1", "2", "32", "1;31"


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that was to be true, whether it was, and what the providers saw of it."""

    story: int | None
    text: str
    held: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What was told under one title: the steps as (label, text), and the promises that were checked. No
    story: all of them."""

    story: int | None
    title: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)


class Show:
    """`out` None: nothing is printed, only kept. Colours appear on a terminal, unless NO_COLOR is set
    (no-color.org)."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._colours = (
            out is not None
            and out.isatty()
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
        )
        self._began = time.monotonic()
        self._last = ""
        self.scenes: list[Scene] = []
        self.facts: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """How long the show has lasted."""
        return time.monotonic() - self._began

    @property
    def promises(self) -> list[Promise]:
        return [promise for scene in self.scenes for promise in scene.promises]

    def line(self, text: str = "", style: str = "") -> None:
        """One line as it is."""
        self._last = text
        if self._out is not None:
            print(
                f"\x1b[{style}m{text}\x1b[0m" if style and self._colours else text, file=self._out, flush=True
            )

    def scene(self, story: int | None, title: str, intro: str) -> None:
        """Begin a scene."""
        self.scenes.append(Scene(story, title))
        self.heading(title, f"story {story}" if story is not None else "all stories")
        self.prose(intro)
        self.line()

    def prose(self, text: str) -> None:
        """A paragraph."""
        for one in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False):
            self.line(f"  {one}")

    def entries(self, lines: list[str], hang: int) -> None:
        """Lines of a log; what is too long goes on `hang` columns further in."""
        for text in lines:
            for one in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False, subsequent_indent=" " * hang):
                self.line(f"  {one}")

    def heading(self, text: str, right: str = "") -> None:
        """A title over a rule."""
        if self._last:
            self.line()
        self.line(f"{text:<{WIDTH - len(right)}}{right}".rstrip(), _BOLD)
        self.line("-" * WIDTH, _DIM)

    def tell(self, label: str, text: str) -> None:
        """One step: `label` says whose part it is. Line breaks stay."""
        self.scenes[-1].steps.append((label, text))
        self._labelled(label, text, _DIM)

    def promise(self, text: str, held: bool, evidence: str) -> None:
        """Write down whether a promise of this scene was kept, with what the providers saw."""
        scene = self.scenes[-1]
        scene.promises.append(Promise(scene.story, text, held, evidence))
        self._labelled(verdict(held), text, _GREEN if held else _RED)
        self._labelled("", f"proof: {evidence}", _DIM)
        self.line()

    def summary(self) -> None:
        """The table at the end: each promise, and what the providers saw of it."""
        self.heading("What was promised, and what the providers saw", "story")
        for one in self.promises:
            self._labelled(
                verdict(one.held),
                f"{one.text:<{WIDTH - _LABEL - 6}} {one.story if one.story is not None else 'all':>3}",
                _GREEN if one.held else _RED,
            )
            self._labelled("", one.evidence, _DIM)
        broken = [one.text for one in self.promises if not one.held]
        kept = len(self.promises) - len(broken)
        self.line()
        self.line(
            f"  {kept} of {len(self.promises)} promises held, in {self.seconds:.1f} s.",
            _GREEN if not broken else _RED,
        )
        for text in broken:
            self.line(f"  broken: {text}", _RED)

    def document(self) -> dict[str, Any]:
        """Everything that was told, as JSON values."""
        scenes = [
            {**asdict(one), "steps": [{"label": label, "text": text} for label, text in one.steps]}
            for one in self.scenes
        ]
        return {
            "held": held(self.promises),
            "seconds": round(self.seconds, 2),
            "scenes": scenes,
            **self.facts,
        }

    def _labelled(self, label: str, text: str, style: str) -> None:
        for part in text.splitlines() or [""]:
            for one in textwrap.wrap(part, WIDTH - _LABEL - 2, break_on_hyphens=False) or [""]:
                head = f"{label:<{_LABEL}}"
                self.line(
                    f"  {head if not self._colours or not style else f'{chr(27)}[{style}m{head}{chr(27)}[0m'}{one}".rstrip()
                )
                label = ""


def held(promises: list[Promise]) -> bool:
    """Whether every promise was kept, and there was one."""
    return bool(promises) and all(one.held for one in promises)


def verdict(kept: bool) -> str:
    """The word for it."""
    return "held" if kept else "BROKEN"


def on_stdout() -> Show:
    """A show on stdout, whose encoding may lack a sign that we use."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return Show(sys.stdout)

"""Printing of the demo while it runs, and its steps for JSON. Nothing is judged here: each promise comes with
its verdict and proof."""

from __future__ import annotations

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
    """A claim, its verdict, and the evidence from the providers."""

    story: int | None
    text: str
    held: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The steps under one title, as (label, text), and the promises that were checked. `story` None stands
    for all stories."""

    story: int | None
    title: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)


class Show:
    """A run of the demo. With `out` None nothing is printed, only kept."""

    def __init__(self, out: TextIO | None, *, coloured: bool = False) -> None:
        self._out = out
        self._colours = coloured
        self._began = time.monotonic()
        self._last = ""
        self.scenes: list[Scene] = []
        self.facts: dict[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Return the length of the show so far."""
        return time.monotonic() - self._began

    @property
    def promises(self) -> list[Promise]:
        return [promise for scene in self.scenes for promise in scene.promises]

    def line(self, text: str = "", style: str = "") -> None:
        """Print one line as it is."""
        self._last = text
        if self._out is not None:
            print(self._coloured(text, style), file=self._out, flush=True)

    def scene(self, story: int | None, title: str, intro: str) -> None:
        """Begin a scene."""
        self.scenes.append(Scene(story, title))
        self.heading(title, "all stories" if story is None else f"story {story}")
        self.prose(intro)
        self.line()

    def prose(self, text: str) -> None:
        """Print a paragraph."""
        for line in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False):
            self.line(f"  {line}")

    def entries(self, lines: list[str], hang: int) -> None:
        """Print lines of a log; a line that is too long is continued, indented by `hang` columns."""
        for text in lines:
            for line in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False, subsequent_indent=" " * hang):
                self.line(f"  {line}")

    def heading(self, text: str, right: str = "") -> None:
        """Print a title over a rule."""
        if self._last:
            self.line()
        self.line(f"{text:<{WIDTH - len(right)}}{right}".rstrip(), _BOLD)
        self.line("-" * WIDTH, _DIM)

    def step(self, label: str, text: str) -> None:
        """Print one step; `label` names who acts. Line breaks stay."""
        self.scenes[-1].steps.append((label, text))
        self._labelled(label, text, _DIM)

    def promise(self, text: str, held: bool, evidence: str) -> None:
        """Print and keep the verdict on a promise of this scene, with the evidence from the providers."""
        scene = self.scenes[-1]
        scene.promises.append(Promise(scene.story, text, held, evidence))
        self._labelled(verdict(held), text, _colour(held))
        self._labelled("", f"proof: {evidence}", _DIM)
        self.line()

    def summary(self) -> None:
        """Print the table at the end: each promise with its evidence."""
        self.heading("What was promised, and what the providers saw", "story")
        for promise in self.promises:
            story = "all" if promise.story is None else str(promise.story)
            text = f"{promise.text:<{WIDTH - _LABEL - 6}} {story:>3}"
            self._labelled(verdict(promise.held), text, _colour(promise.held))
            self._labelled("", promise.evidence, _DIM)
        broken = [promise.text for promise in self.promises if not promise.held]
        kept = len(self.promises) - len(broken)
        self.line()
        self.line(
            f"  {kept} of {len(self.promises)} promises held, in {self.seconds:.1f} s.",
            _colour(not broken),
        )
        for text in broken:
            self.line(f"  broken: {text}", _RED)

    def document(self) -> dict[str, Any]:
        """Return the whole show as JSON values."""
        scenes = [
            {**asdict(scene), "steps": [{"label": label, "text": text} for label, text in scene.steps]}
            for scene in self.scenes
        ]
        return {
            "held": held(self.promises),
            "seconds": round(self.seconds, 2),
            "scenes": scenes,
            **self.facts,
        }

    def _labelled(self, label: str, text: str, style: str) -> None:
        for part in text.splitlines() or [""]:
            for line in textwrap.wrap(part, WIDTH - _LABEL - 2, break_on_hyphens=False) or [""]:
                head = self._coloured(f"{label:<{_LABEL}}", style)
                self.line(f"  {head}{line}".rstrip())
                label = ""

    def _coloured(self, text: str, style: str) -> str:
        if not style or not self._colours:
            return text
        return f"\x1b[{style}m{text}\x1b[0m"


def held(promises: list[Promise]) -> bool:
    """Tell if every promise was kept, and there was one."""
    return bool(promises) and all(promise.held for promise in promises)


def verdict(kept: bool) -> str:
    """Return the word for a verdict."""
    if kept:
        return "held"
    return "BROKEN"


def _colour(kept: bool) -> str:
    if kept:
        return _GREEN
    return _RED


def on_stdout(*, coloured: bool) -> Show:
    """Return a show on stdout, whose encoding may lack a character that we use."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return Show(sys.stdout, coloured=coloured)

"""Refuses what a model is known not to read or to use, before anything is written for its endpoint."""

from __future__ import annotations

from collections.abc import Iterable

from .caps import Caps
from .form import Image, Part, Request, Result, ToolKind
from .losses import Losses

_IMAGES = (
    "choose a model that reads images; if this one does, say so in its provider's models: "
    '{ id = "NAME", input = ["text", "image"] }'
)
_TOOLS = "choose a model that calls tools; if this one does, write tools = true into its provider's caps"


def check(request: Request, caps: Caps, losses: Losses) -> None:
    """Raise Untranslatable about the first image or tool that the model does not take. What is not known of
    a model is no reason: its endpoint will say it."""
    if caps.input and "image" not in caps.input:
        image = next((image for turn in request.turns for image in _images(turn.parts)), None)
        if image is not None:
            kinds = " and ".join(caps.input)
            losses.refuse(image.at, f"the model is known to read {kinds} only, and no images", _IMAGES)
    if caps.tools:
        return
    tool = next((tool for tool in request.tools if tool.kind is not ToolKind.SERVED), None)
    if tool is not None:
        losses.refuse(tool.at, "the endpoint is known to take no tools", _TOOLS)


def _images(parts: Iterable[Part]) -> Iterable[Image]:
    for part in parts:
        if isinstance(part, Image):
            yield part
        elif isinstance(part, Result):
            yield from _images(part.parts)

"""The slow way to the line of each TOML path: parse the text up to each of its lines, and look which paths
there are. It judges `holdfast.config.positions`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from holdfast.config.toml_draft import Draft
from holdfast.config.toml_spans import spans
from holdfast.config.toml_text import join

_DEEPEST = 4
# What completes a text that ends inside a long string, and inside brackets.
_CLOSERS = [
    string + "".join(brackets)
    for depth in range(_DEEPEST + 1)
    for brackets in product("]}", repeat=depth)
    for string in ("", '"""', "'''")
]


def lines_by_parsing(text: str) -> dict[str, int]:
    """Return the number of the first line, counted from 1, after which each path exists."""
    lines: dict[str, int] = {}
    so_far = ""
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):
        so_far += line
        for path in _paths("", _completed(so_far)):
            lines.setdefault(path, number)
    return lines


def _completed(text: str) -> Mapping[str, Any]:
    for closer in _CLOSERS:
        try:
            return tomllib.loads(f"{text}\n{closer}")
        except tomllib.TOMLDecodeError:
            continue
    raise AssertionError(f"no closer completes {text!r}")


def _paths(path: str, value: object) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths(join(path, name), inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _paths(f"{path}[{position}]", inner)


def check_spans(text: str) -> None:
    """Check that each value of a TOML text is located: what is written there alone has the same value."""
    draft = Draft(text)
    for span in spans(text):
        if span.is_header:
            assert text[span.start] == "["
            draft.at(span.path)
        else:
            alone = f"value = {text[span.value : span.end]}"
            assert tomllib.loads(alone)["value"] == draft.at(span.path)

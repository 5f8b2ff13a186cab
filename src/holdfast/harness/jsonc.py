"""JSON with comments: read, and edited as text, so that a member goes in or out and every other byte stays.

What programs read as configuration is JSON with `//` and `/* */` comments and trailing commas; a parser that
writes it anew would lose what its user wrote beside it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_SKIP = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_REMARK = re.compile(r"[ \t]*//[^\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_LINE_END = re.compile(r"[ \t]*\r?\n[ \t]*")
_SCALAR = re.compile(r"[-+.\w]+")
_DEEPEST = 200
Path = tuple[str, ...]


class MalformedJsonc(ValueError):
    """The text is no JSON with comments; says why and in which line, and repeats nothing of it."""

    def __init__(self, why: str, text: str = "", at: int = 0) -> None:
        self.line = text.count("\n", 0, at) + 1
        super().__init__(f"{why} (line {self.line})" if text else why)


@dataclass(slots=True)
class _Node:
    """A value with its place in the text; `members` are those of an object, with the place where each name
    begins."""

    start: int
    end: int
    value: Any
    members: dict[str, tuple[int, _Node]] = field(default_factory=dict)
    trailing: int = -1  # where a comma after the last member stands


def parse(text: str) -> Any:
    """The value of a text; an empty one is an empty object. Raises Malformed."""
    return _root(text).value


def get(text: str, path: Path) -> Any:
    """The value at a path; None when there is none."""
    found = _find(_root(text), path)
    return found.value if found is not None else None


def has(text: str, path: Path) -> bool:
    """Whether something stands at a path, be it null."""
    return _find(_root(text), path) is not None


def is_bare(text: str, path: Path) -> bool:
    """Whether an object stands at a path (or, for none, is the whole text) with nothing in it, not even a
    comment."""
    found = _find(_root(text), path)
    if found is None or found.value != {}:
        return False
    return (
        text[found.start + 1 : found.end - 1] if path else text.strip().removeprefix("{").removesuffix("}")
    ).strip() == ""


def put(text: str, path: Path, value: object) -> str:
    """The text with a new member at `path`, and with the objects above it where they are missing. Raises
    Malformed when something stands there already, or where one of the objects should be."""
    root = _root(text)
    if not root.end:  # nothing but white space and comments
        return (
            text
            + ("\n" if text.strip() else "")
            + json.dumps(_nested(path, value), indent=2, ensure_ascii=False)
            + "\n"
        )
    node, depth = root, 0
    while depth < len(path) and path[depth] in node.members:
        node, depth = node.members[path[depth]][1], depth + 1
    if depth == len(path) or not isinstance(node.value, dict):
        raise MalformedJsonc(f"{'.'.join(path[:depth])} is taken")
    return _inserted(text, node, path[depth], _nested(path[depth + 1 :], value))


def drop(text: str, path: Path) -> str:
    """The text without the member at `path`, its comma and the line it stood on; comments stay. Raises
    KeyError when there is none."""
    node = _find(_root(text), path[:-1])
    if node is None or path[-1] not in node.members:
        raise KeyError(".".join(path))
    members, at = [*node.members.values()], [*node.members].index(path[-1])
    begin, (start, value) = members[at - 1][1].end if at else node.start + 1, members[at]
    if at + 1 < len(members):
        close = members[at + 1][0]
        after = _without_comma(text[value.end : close])
        ended = _LINE_END.match(after)
        return text[:start] + (after[ended.end() if ended else 0 :] if after.strip() else "") + text[close:]
    close = node.end - 1
    before, after = text[begin:start], text[value.end : close]
    if node.trailing >= 0:  # the one before keeps its comma
        after = _without_comma(after)
    elif at:
        before = _without_comma(before)
    before = before.rstrip(" \t") if before.strip(", \t\r\n") else before.strip()
    if _LINE_END.match(after):
        before = before.rstrip("\r\n")
    return text[:begin] + before + (after if after.strip() or before or at else "") + text[close:]


def _without_comma(between: str) -> str:
    """What stands between two members without the comma; comments stay."""
    comma = _after(between, 0)
    return between[:comma] + between[comma + 1 :]


def _nested(path: Path, value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


def _inserted(text: str, node: _Node, name: str, value: object) -> str:
    inner = _indent(text, next(iter(node.members.values()))[0]) if node.members else None
    outer = _indent(text, node.start) or ""
    step = inner if inner is not None else outer + "  "
    written = f"{json.dumps(name)}: {json.dumps(value, indent=2, ensure_ascii=False)}".replace(
        "\n", "\n" + step
    )
    if not node.members:
        rest = text[node.start + 1 :] if text[node.start + 1 : node.end - 1].strip() else text[node.end - 1 :]
        return f"{text[: node.start + 1]}\n{step}{written}\n{outer}{rest}"
    last = [*node.members.values()][-1][1].end
    if inner is None:
        return f"{text[:last]}, {written}{text[last:]}"
    comma = node.trailing if node.trailing >= 0 else last
    end = _remark(text, comma + (node.trailing >= 0))
    between = text[comma:end] if node.trailing >= 0 else f",{text[last:end]}"
    return f"{text[:comma]}{between}\n{step}{written}{',' if node.trailing >= 0 else ''}{text[end:]}"


def _remark(text: str, place: int) -> int:
    """Where a comment at the end of this line ends, which belongs to what stands before it; else the place
    itself."""
    found = _REMARK.match(text, place)
    return found.end() if found is not None else place


def _indent(text: str, place: int) -> str | None:
    """The white space before a place when nothing else stands before it on its line."""
    before = text[text.rfind("\n", 0, place) + 1 : place]
    return before if not before.strip() and "\n" in text[:place] else None


def _find(node: _Node, path: Path) -> _Node | None:
    for name in path:
        if name not in node.members:
            return None
        node = node.members[name][1]
    return node


def _after(text: str, place: int) -> int:
    found = _SKIP.match(text, place)
    return found.end() if found is not None else place


def _root(text: str) -> _Node:
    place = _after(text, 0)
    if place == len(text):
        return _Node(0, 0, {})
    node = _value(text, place, 0)
    if _after(text, node.end) != len(text):
        raise MalformedJsonc("something follows the value", text, node.end)
    return node


def _value(text: str, place: int, depth: int) -> _Node:
    if depth > _DEEPEST or place >= len(text):
        raise MalformedJsonc("it ends too early, or is nested too deeply", text, place)
    if text[place] == "{":
        return _object(text, place, depth)
    if text[place] == "[":
        return _array(text, place, depth)
    found = _STRING.match(text, place) or _SCALAR.match(text, place)
    if found is None:
        raise MalformedJsonc("a value is missing", text, place)
    try:
        return _Node(place, found.end(), json.loads(found[0]))
    except ValueError:
        raise MalformedJsonc("a value cannot be read", text, place) from None


def _string(text: str, match: re.Match[str]) -> str:
    try:
        return str(json.loads(match[0]))
    except ValueError:
        raise MalformedJsonc("a name cannot be read", text, match.start()) from None


def _object(text: str, start: int, depth: int) -> _Node:
    node, place = _Node(start, start, {}), _after(text, start + 1)
    while place < len(text) and text[place] != "}":
        name = _STRING.match(text, place)
        colon = _after(text, name.end()) if name is not None else len(text)
        if name is None or colon >= len(text) or text[colon] != ":":
            raise MalformedJsonc("a name is missing", text, place)
        called, child = _string(text, name), _value(text, _after(text, colon + 1), depth + 1)
        if called in node.members:
            raise MalformedJsonc("a name stands there twice", text, place)
        node.members[called], node.value[called] = (place, child), child.value
        place, node.trailing = _comma(text, child.end, "}")
    if place >= len(text):
        raise MalformedJsonc("an object does not end", text, start)
    node.end = place + 1
    return node


def _array(text: str, start: int, depth: int) -> _Node:
    node, place = _Node(start, start, []), _after(text, start + 1)
    while place < len(text) and text[place] != "]":
        child = _value(text, place, depth + 1)
        node.value.append(child.value)
        place, _ = _comma(text, child.end, "]")
    if place >= len(text):
        raise MalformedJsonc("an array does not end", text, start)
    node.end = place + 1
    return node


def _comma(text: str, end: int, closing: str) -> tuple[int, int]:
    """Where the next thing begins, and where a comma stood if it was the last before the closing bracket."""
    place = _after(text, end)
    if place < len(text) and text[place] == ",":
        beyond = _after(text, place + 1)
        return beyond, place if beyond < len(text) and text[beyond] == closing else -1
    if place < len(text) and text[place] != closing:
        raise MalformedJsonc("a comma is missing", text, place)
    return place, -1

"""JSON with comments: parsed, and edited as text, so that a member is added or removed and every other byte
stays.

Configuration files of programs are JSON with `//` and `/* */` comments and trailing commas; writing a parsed
file would lose the user's comments."""

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
    """The text is not JSON with comments; says why and in which line, and quotes nothing of it."""

    def __init__(self, why: str, text: str = "", at: int = 0) -> None:
        self.line = text.count("\n", 0, at) + 1
        if text:
            why = f"{why} (line {self.line})"
        super().__init__(why)


@dataclass(slots=True)
class _Node:
    """A value with its position in the text; `members` are those of an object, each with the position where
    its name begins."""

    start: int
    end: int
    value: Any
    members: dict[str, tuple[int, _Node]] = field(default_factory=dict)
    trailing: int = -1  # position of a comma after the last member


def parse(text: str) -> Any:
    """Return the value of a text; an empty one is an empty object. Raises MalformedJsonc."""
    return _root(text).value


def get(text: str, path: Path) -> Any:
    """Return the value at a path; None when there is none."""
    node = _find(_root(text), path)
    if node is None:
        return None
    return node.value


def has(text: str, path: Path) -> bool:
    """Return whether there is a value at a path, also if it is null."""
    return _find(_root(text), path) is not None


def is_bare(text: str, path: Path) -> bool:
    """Return whether the object at a path (for an empty path, the whole text) has nothing in it, not even a
    comment."""
    node = _find(_root(text), path)
    if node is None or node.value != {}:
        return False
    inner = text.strip().removeprefix("{").removesuffix("}")
    if path:
        inner = text[node.start + 1 : node.end - 1]
    return not inner.strip()


def put(text: str, path: Path, value: object) -> str:
    """Return the text with a new member at `path`, and with the objects above it where they are missing.
    Raises MalformedJsonc when there is a value already, or another value in the place of such an object."""
    root = _root(text)
    if not root.end:  # nothing but white space and comments
        if text.strip():
            text += "\n"
        return text + json.dumps(_nested(path, value), indent=2, ensure_ascii=False) + "\n"
    node, depth = root, 0
    while depth < len(path) and path[depth] in node.members:
        node, depth = node.members[path[depth]][1], depth + 1
    if depth == len(path) or not isinstance(node.value, dict):
        raise MalformedJsonc(f"{'.'.join(path[:depth])} is taken")
    return _inserted(text, node, path[depth], _nested(path[depth + 1 :], value))


def drop(text: str, path: Path) -> str:
    """Return the text without the member at `path`, its comma and its line; comments stay. Raises KeyError
    when there is none."""
    node = _find(_root(text), path[:-1])
    if node is None or path[-1] not in node.members:
        raise KeyError(".".join(path))
    members = list(node.members.values())
    index = list(node.members).index(path[-1])
    start, value = members[index]
    if index + 1 == len(members):
        return _without_last(text, node)
    following, _ = members[index + 1]
    after = _without_comma(text[value.end : following])
    if not after.strip():
        after = ""
    line_end = _LINE_END.match(after)
    if line_end is not None:
        after = after[line_end.end() :]
    return text[:start] + after + text[following:]


def _without_last(text: str, node: _Node) -> str:
    """Return the text without the last member of an object."""
    *others, (start, value) = node.members.values()
    begin, close = node.start + 1, node.end - 1
    if others:
        begin = others[-1][1].end
    before, after = text[begin:start], text[value.end : close]
    if node.trailing >= 0:  # the one before keeps its comma
        after = _without_comma(after)
    elif others:
        before = _without_comma(before)
    if before.strip(", \t\r\n"):
        before = before.rstrip(" \t")
    else:
        before = before.strip()
    if _LINE_END.match(after):
        before = before.rstrip("\r\n")
    if not (after.strip() or before or others):
        after = ""
    return text[:begin] + before + after + text[close:]


def _without_comma(between: str) -> str:
    """Return the text between two members without the comma; comments stay."""
    comma = _after(between, 0)
    return between[:comma] + between[comma + 1 :]


def _nested(path: Path, value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


def _inserted(text: str, node: _Node, name: str, value: object) -> str:
    """Return the text with a new last member in an object, written as its others are."""
    if not node.members:
        return _with_first(text, node, name, value)
    members = list(node.members.values())
    (first, _), (_, last) = members[0], members[-1]
    indent = _indent(text, first)
    if indent is None:
        step = (_indent(text, node.start) or "") + "  "
        return f"{text[: last.end]}, {_written(name, value, step)}{text[last.end :]}"
    written = _written(name, value, indent)
    if node.trailing >= 0:
        end = _end_of_remark(text, node.trailing + 1)
        return f"{text[:end]}\n{indent}{written},{text[end:]}"
    end = _end_of_remark(text, last.end)
    return f"{text[: last.end]},{text[last.end : end]}\n{indent}{written}{text[end:]}"


def _with_first(text: str, node: _Node, name: str, value: object) -> str:
    """Return the text with the first member of an object that has none; comments in it stay."""
    outer = _indent(text, node.start) or ""
    step = outer + "  "
    rest = text[node.start + 1 :]
    if not text[node.start + 1 : node.end - 1].strip():
        rest = text[node.end - 1 :]
    return f"{text[: node.start + 1]}\n{step}{_written(name, value, step)}\n{outer}{rest}"


def _written(name: str, value: object, indent: str) -> str:
    member = f"{json.dumps(name)}: {json.dumps(value, indent=2, ensure_ascii=False)}"
    return member.replace("\n", "\n" + indent)


def _end_of_remark(text: str, position: int) -> int:
    """Return the end of a comment that follows on the same line; without one, the position itself."""
    match = _REMARK.match(text, position)
    if match is None:
        return position
    return match.end()


def _indent(text: str, position: int) -> str | None:
    """Return the white space before a position; None when something else precedes it on its line, or it is on
    the first line."""
    before = text[text.rfind("\n", 0, position) + 1 : position]
    if before.strip() or "\n" not in text[:position]:
        return None
    return before


def _find(node: _Node, path: Path) -> _Node | None:
    for name in path:
        if name not in node.members:
            return None
        node = node.members[name][1]
    return node


def _after(text: str, position: int) -> int:
    """Return the position after white space and comments."""
    match = _SKIP.match(text, position)
    if match is None:
        return position
    return match.end()


def _root(text: str) -> _Node:
    start = _after(text, 0)
    if start == len(text):
        return _Node(0, 0, {})
    node = _value(text, start, 0)
    if _after(text, node.end) != len(text):
        raise MalformedJsonc("there is text after the value", text, node.end)
    return node


def _value(text: str, start: int, depth: int) -> _Node:
    if depth > _DEEPEST or start >= len(text):
        raise MalformedJsonc("it ends too early, or is nested too deeply", text, start)
    if text[start] == "{":
        return _object(text, start, depth)
    if text[start] == "[":
        return _array(text, start, depth)
    match = _STRING.match(text, start) or _SCALAR.match(text, start)
    if match is None:
        raise MalformedJsonc("a value is missing", text, start)
    try:
        return _Node(start, match.end(), json.loads(match[0]))
    except ValueError:
        raise MalformedJsonc("a value cannot be read", text, start) from None


def _object(text: str, start: int, depth: int) -> _Node:
    node = _Node(start, start, {})
    position = _after(text, start + 1)
    while position < len(text) and text[position] != "}":
        name, begin = _name(text, position)
        child = _value(text, begin, depth + 1)
        if name in node.members:
            raise MalformedJsonc("a name is used twice", text, position)
        node.members[name] = (position, child)
        node.value[name] = child.value
        position, node.trailing = _comma(text, child.end, "}")
    if position >= len(text):
        raise MalformedJsonc("an object does not end", text, start)
    node.end = position + 1
    return node


def _name(text: str, position: int) -> tuple[str, int]:
    """Return the name of a member, and the position of its value behind the colon."""
    match = _STRING.match(text, position)
    if match is None:
        raise MalformedJsonc("a name is missing", text, position)
    colon = _after(text, match.end())
    if colon >= len(text) or text[colon] != ":":
        raise MalformedJsonc("a name is missing", text, position)
    try:
        name = str(json.loads(match[0]))
    except ValueError:
        raise MalformedJsonc("a name cannot be read", text, match.start()) from None
    return name, _after(text, colon + 1)


def _array(text: str, start: int, depth: int) -> _Node:
    node = _Node(start, start, [])
    position = _after(text, start + 1)
    while position < len(text) and text[position] != "]":
        child = _value(text, position, depth + 1)
        node.value.append(child.value)
        position, _ = _comma(text, child.end, "]")
    if position >= len(text):
        raise MalformedJsonc("an array does not end", text, start)
    node.end = position + 1
    return node


def _comma(text: str, end: int, closing: str) -> tuple[int, int]:
    """Return the position of the next member or the closing bracket, and that of a comma before the bracket
    (-1 for none)."""
    comma = _after(text, end)
    if comma < len(text) and text[comma] == ",":
        following = _after(text, comma + 1)
        if following < len(text) and text[following] == closing:
            return following, comma
        return following, -1
    if comma < len(text) and text[comma] != closing:
        raise MalformedJsonc("a comma is missing", text, comma)
    return comma, -1

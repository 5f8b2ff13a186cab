"""The tools that a program runs itself, but whose arguments Anthropic's models have learnt and a request does
not say. Other models are told them: each is a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Known(NamedTuple):
    """The words about a tool, and the schema of its arguments."""

    description: str
    schema: Mapping[str, Any]


_LINES = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "for view: the first and the last line, counted from 1; -1 is the end of the file",
}
_INSERT_LINE = {"type": "integer", "description": "for insert: the line after which; 0 is the beginning"}


def _about(words: str) -> dict[str, str]:
    return {"type": "string", "description": words}


def _commands(names: str, needed: list[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a tool whose argument `command` is one of some words."""
    properties = {"command": {"type": "string", "enum": names.split()}, **arguments}
    return {"type": "object", "properties": properties, "required": ["command", *needed]}


def _edits(inserted: str) -> dict[str, Any]:
    """Return the arguments of edits; `inserted` is what the text of an insertion is called."""
    edits: dict[str, Any] = {
        "file_text": _about("for create: the whole text of the file"),
        "old_str": _about("for str_replace: the text to replace, which must be in the file exactly once"),
        "new_str": _about("for str_replace: the text in its place"),
        "insert_line": _INSERT_LINE,
        "view_range": _LINES,
    }
    if inserted == "new_str":
        return edits | {inserted: _about("for str_replace and insert: the new text")}
    return edits | {inserted: _about("for insert: the new text")}


_PATH = _about("the absolute path of a file or a directory")
_BASH = Known(
    "Runs a command in a bash session that stays open between calls.",
    {
        "type": "object",
        "properties": {
            "command": _about("the command; needed unless the session is started anew"),
            "restart": {"type": "boolean", "description": "true starts the session anew"},
        },
    },
)
_EDIT = "Views, creates and edits text files: view, create, str_replace, insert."
_EDITOR = Known(
    _EDIT, _commands("view create str_replace insert", ["path"], {"path": _PATH, **_edits("insert_text")})
)
_OLD_EDITOR = Known(
    f"{_EDIT} undo_edit takes back the last edit of a file.",
    _commands("view create str_replace insert undo_edit", ["path"], {"path": _PATH, **_edits("new_str")}),
)
_MEMORY = Known(
    "Keeps what is worth knowing later in files below /memories. Look there before a task begins.",
    _commands(
        "view create str_replace insert delete rename",
        [],
        {
            "path": _about("a path below /memories; needed but for rename"),
            **_edits("insert_text"),
            "old_path": _about("for rename: the path until now"),
            "new_path": _about("for rename: the new path"),
        },
    ),
)
_KNOWN = {"bash": _BASH, "text_editor": _EDITOR, "memory": _MEMORY}
_OLD = ("text_editor_20241022", "text_editor_20250124")


def known_tool(kind: str, dated: str) -> Known | None:
    """Return a tool by its type without the date, and with it; None for one that cannot be told in words."""
    if dated in _OLD:
        return _OLD_EDITOR
    return _KNOWN.get(kind)

"""Variables in a .env file: `export`, three kinds of quotes, values of several lines, comments, `${NAME}` (as
python-dotenv and docker compose read them). Nothing is executed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*", re.ASCII)
_QUOTES = "'\"`"
_COMMENT = re.compile(r"[ \t]#")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)(?::?-([^}]*))?\}", re.ASCII)


def parse(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables. A reference is replaced by the value of an earlier line, else of `environ`, else
    by its default; one without any of these stays. A quote that is never closed stays in the value."""
    variables: dict[str, str] = {}
    for name, value, literal in _assignments(text):
        variables[name] = value
        if not literal:
            variables[name] = _REFERENCE.sub(
                lambda match: variables.get(match[1]) or environ.get(match[1]) or match[2] or match[0], value
            )
    return variables


def _assignments(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each variable with its value, and whether that is in single quotes, which nothing is replaced
    in."""
    at = 0
    while at < len(text):
        end = text.find("\n", at)
        if end < 0:
            end = len(text)
        match = _NAME.match(text, at, end)
        if match is None:
            at = end + 1
            continue
        start = match.end()
        closing = _closing(text, start)
        if closing < 0:
            value = _COMMENT.split(text[start:end], maxsplit=1)[0].strip()
            yield match[1], value, False
        else:
            quote, value = text[start], text[start + 1 : closing]
            if quote == '"':
                value = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), value)
            yield match[1], value, quote == "'"
            end = text.find("\n", closing)
            if end < 0:
                end = len(text)
        at = end + 1


def _closing(text: str, start: int) -> int:
    """Return where the quote at `start` is closed; -1 for no quote, and for one that is not closed."""
    quote = text[start : start + 1]
    if not quote or quote not in _QUOTES:
        return -1
    at = start + 1
    while True:
        at = text.find(quote, at)
        if at < 0 or quote != '"' or not _is_escaped(text, at):
            return at
        at += 1


def _is_escaped(text: str, at: int) -> bool:
    before = text[max(0, at - 64) : at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
